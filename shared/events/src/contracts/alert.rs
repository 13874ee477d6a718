//! What somebody must look at now.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AggregateField, AggregateId, Contract, Credits, Percent, Priority, Retention, Usd};

/// The reserve no longer covers the outstanding credits; told once per episode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TreasuryBackingLow {
    /// Reserve ÷ value of the outstanding credits, cut off after two decimals: never 100 while below.
    pub backing_percent: Percent,
    /// Outstanding credits.
    pub total_cloud_outstanding: Credits,
    /// The reserve: the balance of account 1110.
    pub mercury_balance: Usd,
    /// What is missing to 100 %.
    pub shortfall: Usd,
}

impl TreasuryBackingLow {
    /// The one thing this alert is about.
    pub const AGGREGATE_ID: &'static str = "treasury_backing";
}

impl Contract for TreasuryBackingLow {
    const TYPE: &'static str = "alert.treasury_backing_low";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::Critical;
    const PRODUCER: &'static str = "cloud-treasury";
    const AGGREGATE: &'static str = "alert";
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Fixed(Self::AGGREGATE_ID);

    fn aggregate_id(&self) -> AggregateId {
        super::aggregate_id(Self::AGGREGATE_ID)
    }
}
