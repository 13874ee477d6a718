//! Redemptions.

use api::PositiveInput;
use events::{Cloud, Credits, EventId, MemberId, Metered, Sequence, Text, TransactionId, Usd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Use credits up for a metered resource.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RedemptionRequest {
    /// Whose.
    pub member_id: MemberId,
    /// What you take the amount to be; another one than quantity × rate is refused. Left out: not compared.
    #[serde(default)]
    pub amount: Option<PositiveInput<Cloud>>,
    /// What for: `compute`, `transfer`, `ltm` or `stm`.
    #[schemars(example = &"compute")]
    pub primitive: Text<40>,
    /// How much of it, more than zero.
    pub quantity: PositiveInput<Metered>,
    /// What the quantity is counted in: `compute-hour` (compute), `GB` (transfer), `GB-month` (ltm), `GB-hour` (stm).
    #[schemars(example = &"compute-hour")]
    pub unit: Text<40>,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period, e.g. `q1-2026`.
    pub period_id: Text<100>,
    /// The rate card that gives the rate: approved, and its effective date reached.
    pub rate_card_version: Sequence,
}

/// A redemption that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RedemptionAnswer {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.redeemed`.
    pub event_id: EventId,
    /// How many credits: quantity × rate, rounded half to even to six decimals.
    pub amount: Credits,
    /// Their value at the rate of the moment.
    pub amount_usd: Usd,
    /// The rate.
    pub credits_per_unit: Credits,
    /// What the account can spend after it.
    pub balance_after: Credits,
}
