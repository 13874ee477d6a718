//! What suppliers tell: published from outside.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payment::Currency;
use crate::{Day, Money, OUTSIDE, Retention, Sku, SupplierId};

contracts! {
    kept Retention::Days(7);
    PriceListed: "supplier.price_listed", Normal, OUTSIDE, "supplier_price" [supplier_id - sku];
}

/// A supplier names the price of a thing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceListed {
    /// Who.
    pub supplier_id: SupplierId,
    /// Of what, by the buyer's own number.
    pub sku: Sku,
    /// What one costs.
    pub price: Money,
    /// Of what.
    pub currency: Currency,
    /// From which day on.
    pub valid_from: Day,
    /// From how many on; absent: from the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_quantity: Option<u32>,
}
