//! Rate cards: what a unit of each resource costs. One person proposes a card, another person approves it, and it is
//! effective from its effective date. An approved card never changes.
//!
//! Two identities propose and approve: a member, whom the request names, and the owner of the API key, whom the API
//! knows. For an approval, both must differ from those of the proposal.

mod rebuild;

use events::{
    Contract, Credits, Draft, EventId, MemberId, Sequence, Text, Timestamp,
    contracts::cloud::{Primitive, RateCardApproved, RateCardCreated, Rates},
};
use outbox::{BuildError, Entity, Error, Key, Outbox, Query, State, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Refusal, account::Holder};

/// A rate card. Its fields change only in [`approve`], and the decision saves the card together with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RateCard {
    /// The card's number: 1, 2, 3… without gaps. It is called `version` in the API. The stored item uses `version` for
    /// its own version.
    number: Sequence,
    /// The date from which the rates are effective, if the card is approved.
    effective_date: Timestamp,
    /// The date from which members get a notice of the card.
    notice_date: Timestamp,
    /// Credits per unit.
    rates: Rates,
    /// The member who proposed the card.
    proposed_by: MemberId,
    /// The proposer's name at that time.
    proposed_by_name: Text<200>,
    /// The owner of the API key that proposed the card; absent on cards from before owners were stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    proposed_by_key_owner: Option<Text<64>>,
    /// When the card was proposed.
    proposed_at: Timestamp,
    /// Who approved the card, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    approval: Option<Approval>,
}

/// Who approved a rate card, and when.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Approval {
    /// The member who approved the card; never its proposer.
    pub approved_by: MemberId,
    /// The approver's name at that time.
    pub approved_by_name: Text<200>,
    /// The owner of the API key that approved the card; absent on approvals from before owners were stored.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by_key_owner: Option<Text<64>>,
    /// When the card was approved.
    pub approved_at: Timestamp,
}

/// All cards are in one partition. The number of the newest card is the number of cards. The next number belongs to the
/// first writer of its key, so the numbers have no gaps.
const PARTITION: &str = RateCardCreated::AGGREGATE;

impl State for RateCard {
    const AGGREGATE: &'static str = RateCardCreated::AGGREGATE;

    fn key(table: &Table, id: &str) -> Key {
        // 16 digits hold every number (2^53 - 1) and sort in numeric order.
        table.key(PARTITION, format!("{id:0>16}"))
    }
}

impl RateCard {
    /// The card's number: 1, 2, 3… without gaps. It is called `version` in the API.
    #[must_use]
    pub fn number(&self) -> Sequence {
        self.number
    }

    /// The date from which the rates are effective, if the card is approved.
    #[must_use]
    pub fn effective_date(&self) -> Timestamp {
        self.effective_date
    }

    /// The date from which members get a notice of the card.
    #[must_use]
    pub fn notice_date(&self) -> Timestamp {
        self.notice_date
    }

    /// Credits per unit.
    #[must_use]
    pub fn rates(&self) -> Rates {
        self.rates
    }

    /// The member who proposed the card.
    #[must_use]
    pub fn proposed_by(&self) -> &MemberId {
        &self.proposed_by
    }

    /// The proposer's name at that time.
    #[must_use]
    pub fn proposed_by_name(&self) -> &Text<200> {
        &self.proposed_by_name
    }

    /// The owner of the API key that proposed the card; `None` on cards from before owners were stored.
    #[must_use]
    pub fn proposed_by_key_owner(&self) -> Option<&Text<64>> {
        self.proposed_by_key_owner.as_ref()
    }

    /// When the card was proposed.
    #[must_use]
    pub fn proposed_at(&self) -> Timestamp {
        self.proposed_at
    }

    /// Who approved the card, and when; `None` if it is not approved.
    #[must_use]
    pub fn approval(&self) -> Option<&Approval> {
        self.approval.as_ref()
    }

    /// The rate cards, newest first, at most `limit`.
    #[must_use]
    pub fn newest_first(table: &Table, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, PARTITION, limit)
        }
    }

    /// What a unit of a primitive costs at this time by this card.
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

/// How many numbers after the newest card's are tried for a new card.
const MOST_TRIED: u64 = 100;

/// A number that no card has. A card can only be proposed under such a number, so no card is ever overwritten.
#[derive(Debug)]
pub struct Vacant {
    number: Sequence,
    revision: Sequence,
    entity: Entity<RateCard>,
}

impl Vacant {
    /// The number after the newest card's. If a concurrent proposal takes it between the two reads, the number after
    /// that. `None` if concurrent proposals keep taking the numbers.
    ///
    /// # Errors
    /// [`Error`] if the store fails or numbers run out.
    pub async fn next(outbox: &Outbox, table: &Table) -> Result<Option<Self>, Error> {
        let newest = RateCard::newest_first(table, 1);
        let (newest, _) = outbox.rows::<RateCard>(&newest).await?;
        let first = newest.first().map_or(1, |card| card.number.number() + 1);
        for number in first..first + MOST_TRIED {
            let number = Sequence::new(number)?;
            let entity: Entity<RateCard> = outbox.load(table, &number.to_string()).await?;
            if entity.state().is_none() {
                let revision = entity.next_version()?;
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

/// Proposes a rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Propose {
    /// The date from which the rates are to be effective.
    pub effective_date: Timestamp,
    /// The date from which members get a notice of the card; not after the effective date.
    pub notice_date: Timestamp,
    /// Credits per unit, each more than zero.
    pub rates: Rates,
    /// Who proposes it.
    pub by: By,
}

/// A decided proposal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Proposing {
    /// The card.
    pub card: RateCard,
    /// The event.
    pub event: RateCardCreated,
}

/// A decided approval.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Approving {
    /// The card after the approval.
    pub card: RateCard,
    /// The event.
    pub event: RateCardApproved,
}

/// Decides a proposal under the vacant number.
///
/// # Errors
/// [`Refusal::RateNotPositive`], [`Refusal::NoticeAfterEffective`].
pub fn propose(command: Propose, vacant: &Vacant, now: Timestamp) -> Result<Proposing, Refusal> {
    propose_as(command, vacant.number, vacant.revision, now)
}

/// `revision` is the version of the card's row after its first write.
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

/// Decides an approval. `revision` is the version of the card's row after it. For a card from before owners were
/// stored, only the members are compared.
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
    /// [`BuildError`] if the proposal was decided under another number.
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

    /// An approved card that has always been effective, with one rate for everything.
    pub(crate) fn approved(card: u64, rate: &str) -> RateCard {
        decided(card, rate).1.card
    }

    /// The decisions that led to such a card.
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
        // Neither the proposer nor another member with a key of the proposing owner can approve it.
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
        let recorded = (
            proposing.event.proposed_by_key_owner,
            &approving.event.approved_by_key_owner,
        );
        assert_eq!(
            recorded,
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
