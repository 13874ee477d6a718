//! Rate cards.

use api::{MomentInput, PositiveInput};
use cloud::rate_card::RateCard;
use events::{Cloud, EventId, MemberId, Sequence, Text, Timestamp, contracts::cloud::Rates};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Credits per unit of each primitive, each more than zero.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct RatesInput {
    /// Per compute-hour.
    pub compute: PositiveInput<Cloud>,
    /// Per GB moved.
    pub transfer: PositiveInput<Cloud>,
    /// Per GB-month kept.
    pub ltm: PositiveInput<Cloud>,
    /// Per GB-hour kept.
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
    /// From when on its rates shall hold, once it is approved.
    pub effective_date: MomentInput,
    /// From when on members are told of it; not after the effective date.
    pub notice_date: MomentInput,
    /// Credits per unit.
    pub rates: RatesInput,
    /// Who proposes it.
    pub proposed_by: MemberId,
}

/// A proposed rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProposalAnswer {
    /// The card's number.
    pub version: Sequence,
    /// The event `cloud.rate_card_created`.
    pub event_id: EventId,
    /// From when on its rates hold, once it is approved.
    pub effective_date: Timestamp,
    /// From when on members are told of it.
    pub notice_date: Timestamp,
}

/// Which rate card.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RateCardPath {
    /// Its number.
    pub version: Sequence,
}

/// Approve a rate card.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ApprovalRequest {
    /// Who approves it: another member than its proposer.
    pub approved_by: MemberId,
}

/// An approved rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ApprovalAnswer {
    /// The card's number.
    pub version: Sequence,
    /// The event `cloud.rate_card_approved`.
    pub event_id: EventId,
    /// From when on its rates hold.
    pub effective_date: Timestamp,
    /// Who approved it.
    pub approved_by: MemberId,
    /// When.
    pub approved_at: Timestamp,
}

/// How far a rate card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RateCardStatus {
    /// Not approved yet.
    Proposed,
    /// Approved; its effective date is still to come.
    Approved,
    /// Its rates hold.
    Effective,
}

/// A rate card.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "RateCard")]
pub struct RateCardView {
    /// Its number.
    pub version: Sequence,
    /// How far it is.
    pub status: RateCardStatus,
    /// From when on its rates hold, once it is approved.
    pub effective_date: Timestamp,
    /// From when on members are told of it.
    pub notice_date: Timestamp,
    /// Credits per unit.
    pub rates: Rates,
    /// Who proposed it.
    pub proposed_by: MemberId,
    /// Their name when they did.
    pub proposed_by_name: Text<200>,
    /// The owner of the API key by which they did; null of a card from before owners were kept.
    pub proposed_by_key_owner: Option<Text<64>>,
    /// When.
    pub proposed_at: Timestamp,
    /// Who approved it; null while nobody did.
    pub approved_by: Option<MemberId>,
    /// Their name when they did.
    pub approved_by_name: Option<Text<200>>,
    /// The owner of the API key by which they did.
    pub approved_by_key_owner: Option<Text<64>>,
    /// When.
    pub approved_at: Option<Timestamp>,
}

impl RateCardView {
    /// A card as it stands at a moment.
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
