//! Rebuilds a rate card from its events alone. It shares no code with the decisions: it takes what an event states as
//! given.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention,
    contracts::cloud::{RateCardApproved, RateCardCreated},
    subscription,
};

use super::{Approval, PARTITION, RateCard};

subscription! {
    /// The events of a rate card.
    enum Recorded {
        /// The card was proposed.
        Created(events::contracts::cloud::RateCardCreated) by Mark,
        /// The card was approved.
        Approved(events::contracts::cloud::RateCardApproved) by Mark,
    }
}

fn proposed(event: RateCardCreated, envelope: &Envelope) -> RateCard {
    RateCard {
        number: event.version,
        effective_date: event.effective_date,
        notice_date: event.notice_date,
        rates: event.rates,
        proposed_by: event.proposed_by,
        proposed_by_name: event.proposed_by_name,
        proposed_by_key_owner: event.proposed_by_key_owner,
        proposed_at: envelope.occurred_at,
        approval: None,
    }
}

fn approved(card: &mut RateCard, event: RateCardApproved) -> Result<(), Contradiction> {
    must(card.approval.is_none(), "it is approved twice")?;
    let same = card.number == event.version
        && card.effective_date == event.effective_date
        && event
            .notice_date
            .is_none_or(|date| date == card.notice_date);
    must(same, "the approved card differs from the proposed one")?;
    must(
        card.proposed_by != event.approved_by,
        "it is approved by its proposer",
    )?;
    must(
        card.proposed_by_key_owner.is_none()
            || card.proposed_by_key_owner != event.approved_by_key_owner,
        "it is approved by the owner of the key that proposed it",
    )?;
    card.approval = Some(Approval {
        approved_by: event.approved_by,
        approved_by_name: event.approved_by_name,
        approved_by_key_owner: event.approved_by_key_owner,
        approved_at: event.approved_at,
    });
    Ok(())
}

impl Rebuild for RateCard {
    type Stored = Self;
    const RETENTION: Retention = RateCardCreated::RETENTION;

    fn id_at<'k>(pk: &'k str, sk: &'k str) -> Option<&'k str> {
        (pk == PARTITION).then(|| sk.trim_start_matches('0'))
    }

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        match (
            before,
            <Recorded as events::Subscription>::decode(envelope)?,
        ) {
            (None, Recorded::Created(event)) => {
                let revision = event.revision;
                Ok((proposed(event, envelope), revision))
            }
            (Some(mut card), Recorded::Approved(event)) => {
                let revision = event.revision;
                approved(&mut card, event)?;
                Ok((card, revision))
            }
            (None, Recorded::Approved(_)) => {
                Err(Contradiction::Says("it does not begin with its proposal"))
            }
            (Some(_), Recorded::Created(_)) => Err(Contradiction::Says("it is proposed twice")),
        }
    }
}

#[cfg(test)]
mod tests {
    use domain::testing::Log;
    use events::{Draft, Timestamp};

    use super::{super::tests::decided, *};

    #[test]
    fn a_card_that_its_proposer_or_their_keys_owner_approved_does_not_follow_from_its_events() {
        let (proposing, approving) = decided(1, "1.5");
        let (proposed, approved) = (proposing.event, approving.event);
        let by_proposer = RateCardApproved {
            approved_by: proposed.proposed_by.clone(),
            ..approved.clone()
        };
        let by_key_owner = RateCardApproved {
            approved_by_key_owner: proposed.proposed_by_key_owner.clone(),
            ..approved.clone()
        };
        for (approved, follows) in [
            (approved, true),
            (by_proposer, false),
            (by_key_owner, false),
        ] {
            let mut log = Log::default();
            let drafts = [Draft::of(&proposed), Draft::of(&approved)];
            let drafts = drafts.map(|draft| draft.expect("a draft"));
            log.append(drafts, Timestamp::EPOCH);
            let rebuilt = domain::rebuild::<RateCard>(&log.0);
            assert_eq!(rebuilt.is_ok(), follows, "{approved:?}");
        }
    }
}
