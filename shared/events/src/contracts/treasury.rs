//! The treasury that backs the credits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountId, AggregateField, AggregateId, Contract, Priority, Retention, Sequence, Usd};

/// The balance of a treasury account was stated anew.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountChanged {
    /// The account's number in the chart of accounts, e.g. `1110`, the reserve.
    pub account_id: AccountId,
    /// Its balance after the change.
    pub balance: Usd,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

impl Contract for AccountChanged {
    const TYPE: &'static str = "treasury.account_changed";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "cloud-api";
    const AGGREGATE: &'static str = "treasury_account";
    const RETENTION: Retention = Retention::Forever;
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("account_id");

    fn aggregate_id(&self) -> AggregateId {
        super::aggregate_id(self.account_id.as_str())
    }
}
