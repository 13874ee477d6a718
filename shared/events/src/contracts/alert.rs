//! Alerts that someone must act on now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Credits, Percent, Retention, Usd};

contracts! {
    kept Retention::Days(7);
    TreasuryBackingLow: "alert.treasury_backing_low", Critical, "cloud-treasury", "alert" [= Self::AGGREGATE_ID];
}

/// The reserve no longer covers the outstanding credits. Published once per episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreasuryBackingLow {
    /// Reserve ÷ value of the outstanding credits, truncated to two decimals: never 100 while the reserve is too low.
    pub backing_percent: Percent,
    /// Outstanding credits.
    pub total_cloud_outstanding: Credits,
    /// The reserve: the balance of account 1110.
    pub mercury_balance: Usd,
    /// The amount that is missing to reach 100 %.
    pub shortfall: Usd,
}

impl TreasuryBackingLow {
    /// The only aggregate of this alert.
    pub const AGGREGATE_ID: &'static str = "treasury_backing";
}
