//! Stakes.

use api::{AmountInput, CursorToken, PageLimit, PositiveInput};
use events::{Cloud, Credits, EventId, MemberId, Percent, PositionId, Timestamp, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lock credits for a share of the revenue.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakeRequest {
    /// Whose.
    pub member_id: MemberId,
    /// How many, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// For how many days of 24 hours: one of the deployment's table of revenue shares (30, 90, 180 or 365 by default).
    #[schemars(example = 30)]
    pub lock_duration_days: u32,
}

/// A stake that was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StakeAnswer {
    /// The stake.
    pub position_id: PositionId,
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.staked`.
    pub event_id: EventId,
    /// How many credits.
    pub amount: Credits,
    /// For how long.
    pub lock_duration_days: u32,
    /// The share of the revenue they earn.
    pub revenue_share_percent: Percent,
    /// From when on they can be had back.
    pub unlock_at: Timestamp,
    /// What the account can spend after it.
    pub liquid_balance_after: Credits,
    /// What the account has locked after it.
    pub staked_balance_after: Credits,
}

/// Which stake.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakePath {
    /// Its id.
    pub position_id: PositionId,
}

/// Have locked credits back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UnstakeRequest {
    /// What they earned, where you know: told in the event, not paid by it.
    #[serde(default)]
    pub revenue_earned: Option<AmountInput<Cloud>>,
}

/// A stake that was ended.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct UnstakeAnswer {
    /// The stake.
    pub position_id: PositionId,
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.unstaked`.
    pub event_id: EventId,
    /// How many credits.
    pub amount: Credits,
    /// How long they were locked, in whole days of 24 hours.
    pub staked_duration: u32,
    /// What they earned, where that was told.
    pub revenue_earned: Option<Credits>,
    /// What the account can spend after it.
    pub liquid_balance_after: Credits,
    /// What the account has locked after it.
    pub staked_balance_after: Credits,
}

/// Whose stakes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakesQuery {
    /// Whose.
    pub member_id: MemberId,
    /// How many items at most.
    #[serde(default)]
    pub limit: PageLimit,
    /// Go on where the page before ended.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}
