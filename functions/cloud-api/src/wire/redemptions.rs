//! Redemptions.

use api::PositiveInput;
use events::{Cloud, Credits, EventId, MemberId, Metered, Sequence, Text, TransactionId, Usd};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Redeem credits for a metered resource.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RedemptionRequest {
    /// The member whose credits are redeemed.
    pub member_id: MemberId,
    /// The amount that you expect. A value other than quantity × rate is refused. If absent, nothing is compared.
    #[serde(default)]
    pub amount: Option<PositiveInput<Cloud>>,
    /// The metered resource: `compute`, `transfer`, `ltm` or `stm`.
    #[schemars(example = &"compute")]
    pub primitive: Text<40>,
    /// The quantity, more than zero.
    pub quantity: PositiveInput<Metered>,
    /// The unit of the quantity: `compute-hour` (compute), `GB` (transfer), `GB-month` (ltm), `GB-hour` (stm).
    #[schemars(example = &"compute-hour")]
    pub unit: Text<40>,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period, e.g. `q1-2026`.
    pub period_id: Text<100>,
    /// The rate card that defines the rate. It must be approved, and its effective date must have passed.
    pub rate_card_version: Sequence,
}

/// The result of a redemption.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RedemptionAnswer {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.redeemed`.
    pub event_id: EventId,
    /// The redeemed credits: quantity × rate, rounded half to even to six decimals.
    pub amount: Credits,
    /// Their value at the current rate.
    pub amount_usd: Usd,
    /// The rate, in credits per unit.
    pub credits_per_unit: Credits,
    /// The balance that can be spent after the redemption.
    pub balance_after: Credits,
}
