//! Carts: what customers are about to order.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    order::{Item, Totals},
    price::Currency,
};
use crate::{
    CartId, CustomerId, ItemId, OrderId, Retention, Sequence, Sku, Text, TierName, Timestamp,
    UnitPrice,
};

contracts! {
    kept Retention::Forever;
    Created: "cart.created", Low, "commerce-checkout-api", "cart" [cart_id];
    Updated: "cart.updated", Normal, "commerce-checkout-api", "cart" [cart_id];
}

/// Whether a cart can still change.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CartStatus {
    /// It can.
    Open,
    /// It became an order.
    Ordered,
}

impl CartStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Ordered => "ordered",
        }
    }
}

impl fmt::Display for CartStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Action {
    /// A line was added.
    ItemAdded,
    /// A line was removed.
    ItemRemoved,
    /// The quantity of a line changed.
    QuantityUpdated,
    /// Prices changed.
    PriceUpdated,
    /// Goods can be sold again, or no longer.
    AvailabilityChanged,
    /// The name of a product changed, or the customer's tier, though that makes no other price.
    ItemDetailsUpdated,
    /// All lines were removed, or became an order.
    CartCleared,
}

/// A cart was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The cart.
    pub cart_id: CartId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency of its prices. It cannot change.
    pub currency: Currency,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it: the user for whom the caller acted, else the owner of its key.
    pub created_by: Text<256>,
    /// The cart's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A unit of a line costs something else.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PriceChange {
    /// The line.
    pub item_id: ItemId,
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// What a unit cost before, without tax.
    pub previous_price: UnitPrice,
    /// What a unit costs from now on, without tax.
    pub new_price: UnitPrice,
}

/// A cart changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The cart.
    pub cart_id: CartId,
    /// What happened to it.
    pub action: Action,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` if it follows a change of a price, a
    /// product, a stock, a tier or the customer. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Text<256>>,
    /// The customer. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// All its lines from now on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub items: Vec<Item>,
    /// The line that changed, as it is from now on, or was if it was removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub changed_item: Option<Item>,
    /// The lines whose unit price changed. Any change of a cart calculates all lines anew.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price_changes: Vec<PriceChange>,
    /// What the lines come to; absent if there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// The customer's tier by which the prices were calculated; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The order that it became.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The cart's version after this event; projections use it as their version guard. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Sequence>,
}
