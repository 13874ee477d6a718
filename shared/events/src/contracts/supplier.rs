//! Events of suppliers, which publish them from outside Millrace.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payment::Currency;
use crate::{Day, Money, OUTSIDE, Retention, Sku, SupplierId};

contracts! {
    kept Retention::Days(7);
    PriceListed: "supplier.price_listed", Normal, OUTSIDE, "supplier_price" [supplier_id - sku];
}

/// A supplier listed the price of a product.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PriceListed {
    /// The supplier.
    pub supplier_id: SupplierId,
    /// The product, by the buyer's own number.
    pub sku: Sku,
    /// The price of one unit.
    pub price: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The day from which the price applies.
    pub valid_from: Day,
    /// The smallest quantity to which the price applies; if absent, 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub minimum_quantity: Option<u32>,
}
