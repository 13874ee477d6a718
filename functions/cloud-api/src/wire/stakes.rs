//! Stakes.

use api::{AmountInput, CursorToken, PageLimit, PositiveInput};
use events::{Cloud, Credits, EventId, MemberId, Percent, PositionId, Timestamp, TransactionId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Lock credits for a share of the revenue.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakeRequest {
    /// The member who owns the stake.
    pub member_id: MemberId,
    /// The amount, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// The lock duration in days of 24 hours. It must be in the deployment's table of revenue shares (30, 90, 180 or
    /// 365 by default).
    #[schemars(example = 30)]
    pub lock_duration_days: u32,
}

/// The result of a new stake.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StakeAnswer {
    /// The stake.
    pub position_id: PositionId,
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.staked`.
    pub event_id: EventId,
    /// The credits of the stake.
    pub amount: Credits,
    /// The lock duration in days.
    pub lock_duration_days: u32,
    /// The share of the revenue they earn.
    pub revenue_share_percent: Percent,
    /// When the credits can be released.
    pub unlock_at: Timestamp,
    /// The liquid balance after it.
    pub liquid_balance_after: Credits,
    /// The staked balance after it.
    pub staked_balance_after: Credits,
}

/// The path parameter of a stake.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakePath {
    /// Its id.
    pub position_id: PositionId,
}

/// End a stake and release its credits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct UnstakeRequest {
    /// What the credits earned, if you know it. It is recorded in the event; nothing is paid.
    #[serde(default)]
    pub revenue_earned: Option<AmountInput<Cloud>>,
}

/// The result of an ended stake.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct UnstakeAnswer {
    /// The stake.
    pub position_id: PositionId,
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.unstaked`.
    pub event_id: EventId,
    /// The credits of the stake.
    pub amount: Credits,
    /// How long the credits were locked, in whole days of 24 hours.
    pub staked_duration: u32,
    /// What the credits earned, if the request stated it.
    pub revenue_earned: Option<Credits>,
    /// The liquid balance after it.
    pub liquid_balance_after: Credits,
    /// The staked balance after it.
    pub staked_balance_after: Credits,
}

/// The query of a list of stakes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StakesQuery {
    /// The member who owns the stake.
    pub member_id: MemberId,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}
