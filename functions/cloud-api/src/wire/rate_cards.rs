//! Rate cards.

use api::{PositiveInput, TimestampInput};
use cloud::rate_card::RateCard;
use events::{Cloud, EventId, MemberId, Sequence, Text, Timestamp, contracts::cloud::Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Credits per unit of each primitive, each more than zero.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct RatesInput {
    /// Per compute-hour.
    pub compute: PositiveInput<Cloud>,
    /// Per GB transferred.
    pub transfer: PositiveInput<Cloud>,
    /// Per GB-month stored.
    pub ltm: PositiveInput<Cloud>,
    /// Per GB-hour stored.
    pub stm: PositiveInput<Cloud>,
}

impl RatesInput {
    /// The rates.
    #[must_use]
    pub fn rates(self) -> Rates {
        Rates {
            compute: self.compute.amount(),
            transfer: self.transfer.amount(),
            ltm: self.ltm.amount(),
            stm: self.stm.amount(),
        }
    }
}

/// Propose a rate card.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProposalRequest {
    /// When its rates become effective, once it is approved.
    pub effective_date: TimestampInput,
    /// When members are notified; not after the effective date.
    pub notice_date: TimestampInput,
    /// Credits per unit.
    pub rates: RatesInput,
    /// The member who proposes it.
    pub proposed_by: MemberId,
}

/// A proposed rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProposalAnswer {
    /// The card's number.
    pub version: Sequence,
    /// The event `cloud.rate_card_created`.
    pub event_id: EventId,
    /// When its rates become effective, once it is approved.
    pub effective_date: Timestamp,
    /// When members are notified.
    pub notice_date: Timestamp,
}

/// The path parameter of a rate card.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RateCardPath {
    /// Its number.
    pub version: Sequence,
}

/// Approve a rate card.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ApprovalRequest {
    /// The member who approves it, who must not be its proposer.
    pub approved_by: MemberId,
}

/// An approved rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApprovalAnswer {
    /// The card's number.
    pub version: Sequence,
    /// The event `cloud.rate_card_approved`.
    pub event_id: EventId,
    /// When its rates become effective.
    pub effective_date: Timestamp,
    /// The member who approved it.
    pub approved_by: MemberId,
    /// When.
    pub approved_at: Timestamp,
}

/// The status of a rate card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RateCardStatus {
    /// Not approved yet.
    Proposed,
    /// Approved; its effective date is in the future.
    Approved,
    /// Approved, and its effective date has passed.
    Effective,
}

/// A rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "RateCard")]
pub struct RateCardView {
    /// Its number.
    pub version: Sequence,
    /// The status of the card.
    pub status: RateCardStatus,
    /// When its rates become effective, once it is approved.
    pub effective_date: Timestamp,
    /// When members are notified.
    pub notice_date: Timestamp,
    /// Credits per unit.
    pub rates: Rates,
    /// The member who proposed it.
    pub proposed_by: MemberId,
    /// Their name when they did.
    pub proposed_by_name: Text<200>,
    /// The owner of the API key that proposed it; null for a card that is older than this field.
    pub proposed_by_key_owner: Option<Text<64>>,
    /// When.
    pub proposed_at: Timestamp,
    /// The member who approved it; null until it is approved.
    pub approved_by: Option<MemberId>,
    /// Their name when they did.
    pub approved_by_name: Option<Text<200>>,
    /// The owner of the API key that approved it.
    pub approved_by_key_owner: Option<Text<64>>,
    /// When.
    pub approved_at: Option<Timestamp>,
}

impl RateCardView {
    /// Returns the view of a card at a given time.
    #[must_use]
    pub fn of(card: &RateCard, now: Timestamp) -> Self {
        let approval = card.approval();
        let status = match approval {
            None => RateCardStatus::Proposed,
            Some(_) if now < card.effective_date() => RateCardStatus::Approved,
            Some(_) => RateCardStatus::Effective,
        };
        Self {
            version: card.number(),
            status,
            effective_date: card.effective_date(),
            notice_date: card.notice_date(),
            rates: card.rates(),
            proposed_by: card.proposed_by().clone(),
            proposed_by_name: card.proposed_by_name().clone(),
            proposed_by_key_owner: card.proposed_by_key_owner().cloned(),
            proposed_at: card.proposed_at(),
            approved_by: approval.map(|approval| approval.approved_by.clone()),
            approved_by_name: approval.map(|approval| approval.approved_by_name.clone()),
            approved_by_key_owner: approval
                .and_then(|approval| approval.approved_by_key_owner.clone()),
            approved_at: approval.map(|approval| approval.approved_at),
        }
    }
}
