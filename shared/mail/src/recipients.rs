//! Whom an event tells what. `notifications` acts on it; the audit asks the same afterwards.

use events::{
    DecodeError, Envelope, MemberId, Subscription, Timestamp,
    contracts::loan::PaymentScheduleGenerated,
};
use outbox::{Key, Table};
use topology::functions::notifications::Event;
use views::{fanouts, notes::Note};

use crate::{
    Announcement,
    texts::{Earned, Tidings},
};

/// The members an event tells something, each by their own preferences. Credits of nobody's tell nobody, nor does an escrow
/// of which nothing was earned.
#[must_use]
pub fn told(event: &Event, occurred_at: Timestamp) -> Vec<(&MemberId, Tidings<'_>)> {
    match event {
        Event::Minted(minted) => minted
            .member_id
            .iter()
            .map(|member_id| (member_id, Tidings::Added(minted)))
            .collect(),
        Event::Transferred(moved) => vec![
            (&moved.from_member_id, Tidings::Sent(moved)),
            (&moved.to_member_id, Tidings::Received(moved)),
        ],
        Event::Redeemed(redeemed) => vec![(&redeemed.member_id, Tidings::Redeemed(redeemed))],
        Event::Burned(burned) => burned
            .member_id
            .iter()
            .map(|member_id| (member_id, Tidings::Burned(burned)))
            .collect(),
        Event::Staked(staked) => vec![(&staked.member_id, Tidings::Staked(staked))],
        Event::Unstaked(unstaked) => vec![(&unstaked.member_id, Tidings::Unstaked(unstaked))],
        Event::EscrowSettled(settled) => {
            let earned = Earned::whole(settled, occurred_at);
            vec![(&settled.model_id, Tidings::EarningsReceived(earned))]
        }
        Event::EscrowPartialSettled(divided) => Earned::part(divided, occurred_at)
            .map(|earned| (&divided.model_id, Tidings::EarningsReceived(earned)))
            .into_iter()
            .collect(),
        Event::LoanScheduleGenerated(plan) => vec![(&plan.borrower_id, planned(plan))],
        Event::LoanPaymentReceived(payment) => {
            vec![(&payment.borrower_id, Tidings::LoanPaymentReceived(payment))]
        }
        Event::LoanDrawApproved(draw) => {
            vec![(&draw.borrower_id, Tidings::LoanDrawApproved(draw))]
        }
        Event::LoanPaidOff(end) => vec![(&end.borrower_id, Tidings::LoanPaidOff(end))],
        Event::Registered(_)
        | Event::Updated(_)
        | Event::RateCardCreated(_)
        | Event::RateCardApproved(_)
        | Event::SyncDiverged(_)
        | Event::BackingLow(_) => Vec::new(),
    }
}

/// A loan's first payment plan is made because it was funded: the borrower is told both at once.
fn planned(plan: &PaymentScheduleGenerated) -> Tidings<'_> {
    if plan.revision.number() == 1 {
        Tidings::LoanFunded(plan)
    } else {
        Tidings::LoanPlanChanged(plan)
    }
}

/// What an event tells every admin.
#[must_use]
pub fn told_admins(event: &Event) -> Option<Tidings<'_>> {
    match event {
        Event::BackingLow(alert) => Some(Tidings::BackingLow(alert)),
        Event::SyncDiverged(diverged) => Some(Tidings::SyncDiverged(diverged)),
        _ => None,
    }
}

/// The note that tells a member, and where it stands; alerts have none.
#[must_use]
pub fn note(
    member_id: &MemberId,
    tidings: &Tidings<'_>,
    envelope: &Envelope,
    table: &Table,
) -> Option<(Key, Note)> {
    let note = tidings.note(envelope)?;
    Some((note.key(table, member_id, tidings.name()), note))
}

/// A note that an event comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedNote {
    /// Whose.
    pub member_id: MemberId,
    /// Where it stands, in the consumer's table.
    pub key: Key,
    /// Whether it is there wherever the member wants notes. One of a redemption is only from an amount on that is a
    /// setting, and may have been another one then.
    pub is_certain: bool,
}

/// The notes that an event comes to, one per member at most, where the member wants them: what `notifications` puts
/// beside its mark. For whoever looks afterwards; `table` is the consumer's.
///
/// # Errors
/// [`DecodeError`] when the consumer does not listen to the event, or it breaks its contract.
pub fn notes(envelope: &Envelope, table: &Table) -> Result<Vec<ExpectedNote>, DecodeError> {
    let event = Event::decode(envelope)?;
    Ok(told(&event, envelope.occurred_at)
        .into_iter()
        .filter_map(|(member_id, tidings)| {
            let (key, _) = note(member_id, &tidings, envelope, table)?;
            Some(ExpectedNote {
                member_id: member_id.clone(),
                key,
                is_certain: !matches!(tidings, Tidings::Redeemed(_)),
            })
        })
        .collect())
}

/// The fan-out that an event opens beside its mark, by name, and the word for what it tells; `None`: it opens none. For
/// whoever looks afterwards.
///
/// # Errors
/// [`DecodeError`] when the event breaks its contract.
pub fn fanout(envelope: &Envelope) -> Result<Option<(String, &'static str)>, DecodeError> {
    let announcement = Announcement::read(envelope)?;
    Ok(announcement.map(|announcement| {
        let not_before = announcement.not_before(envelope);
        let name = fanouts::name(not_before, envelope.event_id);
        (name, announcement.tidings().name())
    }))
}
