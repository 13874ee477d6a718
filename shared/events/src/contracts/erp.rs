//! Events of a merchandise (ERP) system, which publishes them from outside Millrace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OUTSIDE, Retention, Sku, Text, Timestamp};

contracts! {
    kept Retention::Days(7);
    StockCounted: "erp.stock_counted", Normal, OUTSIDE, "erp_stock" [sku];
}

/// The stock of a product was counted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockCounted {
    /// The product.
    pub sku: Sku,
    /// The counted number.
    pub counted_quantity: u32,
    /// The time of the count.
    pub counted_at: Timestamp,
    /// The place of the count; absent if there is only one place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub location: Option<Text<100>>,
    /// The count's number in the merchandise system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Text<100>>,
}
