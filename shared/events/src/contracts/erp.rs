//! What a merchandise system tells: published from outside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OUTSIDE, Retention, Sku, Text, Timestamp};

contracts! {
    kept Retention::Days(7);
    StockCounted: "erp.stock_counted", Normal, OUTSIDE, "erp_stock" [sku];
}

/// Goods on hand were counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockCounted {
    /// Of what.
    pub sku: Sku,
    /// How many there are.
    pub counted_quantity: u32,
    /// When it was counted.
    pub counted_at: Timestamp,
    /// Where; absent where there is one place only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<100>>,
    /// The count's number in the merchandise system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<100>>,
}
