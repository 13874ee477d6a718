//! The treasury that backs the credits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{AccountId, Retention, Sequence, Usd};

contracts! {
    kept Retention::Forever;
    AccountChanged: "treasury.account_changed", High, "cloud-api", "treasury_account" [account_id];
}

/// A new balance of a treasury account was recorded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AccountChanged {
    /// The account's number in the chart of accounts, e.g. `1110`, the reserve.
    pub account_id: AccountId,
    /// The balance after the change.
    pub balance: Usd,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
