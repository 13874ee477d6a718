//! Rate cards: what a unit of each resource costs. Proposed by one person, approved by another, effective at its date; an
//! approved card never changes.
//!
//! Who proposes and who approves are each a member, whom the caller names, and the owner of the caller's API key, who is known. Both
//! must be others.

mod rebuild;

use events::{
    Contract, Credits, Draft, EventId, MemberId, Sequence, Text, Timestamp,
    contracts::cloud::{Primitive, RateCardApproved, RateCardCreated, Rates},
};
use outbox::{BuildError, Entity, Error, Key, Outbox, Query, State, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Refusal, account::Holder};

/// A rate card. Its fields change in [`approve`] alone, whose decision keeps the card together with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCard {
    /// Its number: 1, 2, 3… without gaps. `version` on the wire, a name that the item's own version has here.
    number: Sequence,
    /// From when on its rates hold, once it is approved.
    effective_date: Timestamp,
    /// From when on members are told of it.
    notice_date: Timestamp,
    /// Credits per unit.
    rates: Rates,
    /// Who proposed it.
    proposed_by: MemberId,
    /// Their name when they did.
    proposed_by_name: Text<200>,
    /// The owner of the API key by which they did; absent of a card from before owners were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposed_by_key_owner: Option<Text<64>>,
    /// When.
    proposed_at: Timestamp,
    /// By whom and when it was approved.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
}

/// By whom and when a rate card was approved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// Who: never its proposer.
    pub approved_by: MemberId,
    /// Their name when they did.
    pub approved_by_name: Text<200>,
    /// The owner of the API key by which they did; absent of an approval from before owners were kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by_key_owner: Option<Text<64>>,
    /// When.
    pub approved_at: Timestamp,
}

/// All cards in one partition: the newest one's number is the count of them, and the next one's key is taken by whoever
/// writes it first. That is what leaves no gaps.
const PARTITION: &str = RateCardCreated::AGGREGATE;

impl State for RateCard {
    const AGGREGATE: &'static str = RateCardCreated::AGGREGATE;

    fn key(table: &Table, id: &str) -> Key {
        // 16 digits hold every number (2^53 - 1) in their order.
        table.key(PARTITION, format!("{id:0>16}"))
    }
}

impl RateCard {
    /// Its number: 1, 2, 3… without gaps. `version` on the wire.
    #[must_use]
    pub fn number(&self) -> Sequence {
        self.number
    }

    /// From when on its rates hold, once it is approved.
    #[must_use]
    pub fn effective_date(&self) -> Timestamp {
        self.effective_date
    }

    /// From when on members are told of it.
    #[must_use]
    pub fn notice_date(&self) -> Timestamp {
        self.notice_date
    }

    /// Credits per unit.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// Who proposed it.
    #[must_use]
    pub fn proposed_by(&self) -> &MemberId {
        &self.proposed_by
    }

    /// Their name when they did.
    #[must_use]
    pub fn proposed_by_name(&self) -> &Text<200> {
        &self.proposed_by_name
    }

    /// The owner of the API key by which they did; `None` of a card from before owners were kept.
    #[must_use]
    pub fn proposed_by_key_owner(&self) -> Option<&Text<64>> {
        self.proposed_by_key_owner.as_ref()
    }

    /// When it was proposed.
    #[must_use]
    pub fn proposed_at(&self) -> Timestamp {
        self.proposed_at
    }

    /// By whom and when it was approved.
    #[must_use]
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }

    /// The cards, newest first; `limit` at most.
    #[must_use]
    pub fn newest_first(table: &Table, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, PARTITION, limit)
        }
    }

    /// What a unit of a primitive costs by this card at a moment.
    ///
    /// # Errors
    /// [`Refusal::RateCardNotApproved`], [`Refusal::RateCardNotEffective`].
    pub fn rate_of(&self, primitive: Primitive, now: Timestamp) -> Result<Credits, Refusal> {
        let version = self.number;
        if self.approval.is_none() {
            return Err(Refusal::RateCardNotApproved { version });
        }
        if now < self.effective_date {
            return Err(Refusal::RateCardNotEffective {
                version,
                effective_date: self.effective_date,
            });
        }
        Ok(self.rates.of(primitive))
    }
}

/// Numbers that are tried for a new card after the newest one's.
const MOST_TRIED: u64 = 100;

/// A number that no card has: only there can a card be proposed, so that none is ever written over.
#[derive(Debug)]
pub struct Vacant {
    number: Sequence,
    revision: Sequence,
    entity: Entity<RateCard>,
}

impl Vacant {
    /// The number after the newest card's. Between two readings somebody else may take it: then the one after that.
    /// `None` where others keep doing so.
    ///
    /// # Errors
    /// [`Error`] when the store fails or numbers run out.
    pub async fn next(outbox: &Outbox, table: &Table) -> Result<Option<Self>, Error> {
        let newest = RateCard::newest_first(table, 1);
        let (newest, _) = outbox.rows::<RateCard>(&newest).await?;
        let first = newest.first().map_or(1, |card| card.number.number() + 1);
        for number in first..first + MOST_TRIED {
            let number = Sequence::new(number).map_err(BuildError::from)?;
            let entity: Entity<RateCard> = outbox.load(table, &number.to_string()).await?;
            if entity.state().is_none() {
                let revision = entity.next_version().map_err(BuildError::from)?;
                return Ok(Some(Self {
                    number,
                    revision,
                    entity,
                }));
            }
        }
        Ok(None)
    }
}

/// Who proposes or approves.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The member.
    pub member: Holder,
    /// The owner of the API key.
    pub key_owner: Text<64>,
}

/// Propose a rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propose {
    /// From when on its rates shall hold.
    pub effective_date: Timestamp,
    /// From when on members are told of it; not after the effective date.
    pub notice_date: Timestamp,
    /// Credits per unit, each more than zero.
    pub rates: Rates,
    /// Who proposes it.
    pub by: By,
}

/// A proposed rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposing {
    /// The card.
    pub card: RateCard,
    /// What happened.
    pub event: RateCardCreated,
}

/// An approved rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approving {
    /// The card after it.
    pub card: RateCard,
    /// What happened.
    pub event: RateCardApproved,
}

/// Decides a proposal under the number that is vacant.
///
/// # Errors
/// [`Refusal::RateNotPositive`], [`Refusal::NoticeAfterEffective`].
pub fn propose(command: Propose, vacant: &Vacant, now: Timestamp) -> Result<Proposing, Refusal> {
    propose_as(command, vacant.number, vacant.revision, now)
}

/// `revision` is the card's own first version.
pub(crate) fn propose_as(
    command: Propose,
    number: Sequence,
    revision: Sequence,
    now: Timestamp,
) -> Result<Proposing, Refusal> {
    let free = |primitive: &Primitive| command.rates.of(*primitive).is_zero();
    if let Some(primitive) = Primitive::ALL.into_iter().find(free) {
        return Err(Refusal::RateNotPositive { primitive });
    }
    if command.notice_date > command.effective_date {
        return Err(Refusal::NoticeAfterEffective);
    }
    let card = RateCard {
        number,
        effective_date: command.effective_date,
        notice_date: command.notice_date,
        rates: command.rates,
        proposed_by: command.by.member.member_id,
        proposed_by_name: command.by.member.name,
        proposed_by_key_owner: Some(command.by.key_owner),
        proposed_at: now,
        approval: None,
    };
    let event = RateCardCreated {
        version: number,
        effective_date: card.effective_date,
        notice_date: card.notice_date,
        rates: card.rates,
        proposed_by: card.proposed_by.clone(),
        proposed_by_name: card.proposed_by_name.clone(),
        proposed_by_key_owner: card.proposed_by_key_owner.clone(),
        revision,
    };
    Ok(Proposing { card, event })
}

/// Decides an approval. `revision` is the card's own version after it. Of a card from before owners were kept only the members are
/// compared.
///
/// # Errors
/// [`Refusal::RateCardApproved`], [`Refusal::ApprovalByRequester`], [`Refusal::ApprovalByProposer`].
pub fn approve(
    card: &RateCard,
    by: By,
    revision: Sequence,
    now: Timestamp,
) -> Result<Approving, Refusal> {
    let version = card.number;
    if let Some(approval) = &card.approval {
        let approved_by = approval.approved_by.clone();
        return Err(Refusal::RateCardApproved {
            version,
            approved_by,
        });
    }
    if card.proposed_by_key_owner.as_ref() == Some(&by.key_owner) {
        return Err(Refusal::ApprovalByRequester { version });
    }
    if by.member.member_id == card.proposed_by {
        return Err(Refusal::ApprovalByProposer { version });
    }
    let approval = Approval {
        approved_by: by.member.member_id,
        approved_by_name: by.member.name,
        approved_by_key_owner: Some(by.key_owner),
        approved_at: now,
    };
    let event = RateCardApproved {
        version,
        effective_date: card.effective_date,
        notice_date: Some(card.notice_date),
        approved_by: approval.approved_by.clone(),
        approved_by_name: approval.approved_by_name.clone(),
        approved_by_key_owner: approval.approved_by_key_owner.clone(),
        approved_at: now,
        revision,
    };
    let card = RateCard {
        approval: Some(approval),
        ..card.clone()
    };
    Ok(Approving { card, event })
}

impl Proposing {
    /// Puts the card and the event into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the proposal was decided under another number.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        vacant: &Vacant,
    ) -> Result<EventId, BuildError> {
        let draft = Draft::of(&self.event)?;
        transaction.tell(&vacant.entity, &self.card, draft, Vec::new())
    }
}

impl Approving {
    /// Puts the card and the event into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another card's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<RateCard>,
    ) -> Result<EventId, BuildError> {
        transaction.tell(entity, &self.card, Draft::of(&self.event)?, Vec::new())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// An approved card that holds since ever, of one rate for everything.
    pub(crate) fn approved(card: u64, rate: &str) -> RateCard {
        decided(card, rate).1.card
    }

    /// How it came to be.
    pub(crate) fn decided(card: u64, rate: &str) -> (Proposing, Approving) {
        let rate: Credits = rate.parse().expect("a rate");
        let command = Propose {
            effective_date: Timestamp::EPOCH,
            notice_date: Timestamp::EPOCH,
            rates: Rates {
                compute: rate,
                transfer: rate,
                ltm: rate,
                stm: rate,
            },
            by: by("ada", "desk"),
        };
        let proposing = propose_as(command, number(card), number(1), Timestamp::EPOCH);
        let proposing = proposing.expect("allowed");
        let approver = by("bo", "finance");
        let approving = approve(&proposing.card, approver, number(2), Timestamp::EPOCH);
        (proposing, approving.expect("allowed"))
    }

    fn number(number: u64) -> Sequence {
        Sequence::new(number).expect("a number")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1_000).expect("a moment")
    }

    fn by(member: &str, key_owner: &str) -> By {
        By {
            member: Holder {
                member_id: MemberId::new(member).expect("an id"),
                name: Text::new(member).expect("a name"),
            },
            key_owner: Text::new(key_owner).expect("an owner"),
        }
    }

    fn rates(compute: &str) -> Rates {
        let credits = |text: &str| text.parse().expect("a rate");
        Rates {
            compute: credits(compute),
            transfer: credits("0.05"),
            ltm: credits("0.2"),
            stm: credits("0.000001"),
        }
    }

    fn proposal(notice: i64, effective: i64) -> Propose {
        Propose {
            effective_date: at(effective),
            notice_date: at(notice),
            rates: rates("1.5"),
            by: by("ada", "desk"),
        }
    }

    #[test]
    fn a_card_is_proposed_by_one_approved_by_another_and_holds_from_its_date_on() {
        let proposing = propose_as(proposal(10, 20), number(1), number(1), at(5)).expect("allowed");
        let card = proposing.card;
        let version = card.number;
        assert_eq!(
            card.rate_of(Primitive::Compute, at(30)),
            Err(Refusal::RateCardNotApproved { version })
        );
        // Neither the member who proposed it, nor another one by a key of the owner who did.
        for (approver, refusal) in [
            (
                by("ada", "finance"),
                Refusal::ApprovalByProposer { version },
            ),
            (by("bo", "desk"), Refusal::ApprovalByRequester { version }),
        ] {
            assert_eq!(approve(&card, approver, number(2), at(6)), Err(refusal));
        }
        let approving = approve(&card, by("bo", "finance"), number(2), at(6)).expect("allowed");
        assert_eq!(approving.event.revision, number(2));
        let told = (
            proposing.event.proposed_by_key_owner,
            &approving.event.approved_by_key_owner,
        );
        assert_eq!(
            told,
            (
                Some(by("ada", "desk").key_owner),
                &Some(by("bo", "finance").key_owner)
            )
        );
        assert_eq!(approving.event.notice_date, Some(at(10)));
        let card = approving.card;
        assert_eq!(
            card.rate_of(Primitive::Compute, at(19)),
            Err(Refusal::RateCardNotEffective {
                version,
                effective_date: at(20)
            })
        );
        let rate = card.rate_of(Primitive::Compute, at(20));
        assert_eq!(rate, Ok("1.5".parse().expect("a rate")));
        assert_eq!(
            approve(&card, by("eve", "audit"), number(3), at(7)),
            Err(Refusal::RateCardApproved {
                version,
                approved_by: by("bo", "finance").member.member_id
            })
        );
    }

    #[test]
    fn of_a_card_from_before_owners_were_kept_the_members_are_compared() {
        let proposing = propose_as(proposal(10, 20), number(1), number(1), at(5)).expect("allowed");
        let card = RateCard {
            proposed_by_key_owner: None,
            ..proposing.card
        };
        let version = card.number;
        assert_eq!(
            approve(&card, by("ada", "finance"), number(2), at(6)),
            Err(Refusal::ApprovalByProposer { version })
        );
        assert!(approve(&card, by("bo", "desk"), number(2), at(6)).is_ok());
    }

    #[test]
    fn notice_comes_no_later_than_the_rates_and_no_rate_is_free() {
        let late = propose_as(proposal(21, 20), number(1), number(1), at(5));
        assert_eq!(late, Err(Refusal::NoticeAfterEffective));
        assert!(propose_as(proposal(20, 20), number(1), number(1), at(5)).is_ok());
        let free = Propose {
            rates: rates("0"),
            ..proposal(10, 20)
        };
        let primitive = Primitive::Compute;
        assert_eq!(
            propose_as(free, number(1), number(1), at(5)),
            Err(Refusal::RateNotPositive { primitive })
        );
    }

    #[test]
    fn keys_have_the_order_of_the_numbers() {
        let table = Table::domain("cloud");
        let key = |id: &str| RateCard::key(&table, id).to_string();
        assert!(key("9") < key("10") && key("10") < key("9007199254740991"));
    }
}
