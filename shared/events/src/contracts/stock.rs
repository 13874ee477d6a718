//! Stock: how much of a sku there is, and how much of it can be sold.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::order::{Goods, Shortage};
use crate::{OrderId, ProductId, Retention, Sequence, Sku, Text, Timestamp};

contracts! {
    kept Retention::Forever;
    Changed: "stock.changed", Critical, "commerce-catalog-api", "stock" [sku];
    ReservationChanged: "stock.reservation_changed", Critical, "commerce-stock", "stock_reservation" [order_id];
}

/// Why a stock changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ChangeType {
    /// Goods came in.
    Received,
    /// The quantity was corrected: counted, broken, lost, found.
    Adjusted,
    /// The quantity below which stock is low was set.
    ThresholdChanged,
    /// A part was reserved for an order.
    OrderReserved,
    /// A reservation was given back.
    ReservationReleased,
    /// What was reserved left the house.
    Shipped,
    /// The merchandise system counted another quantity.
    ErpSync,
    /// A supplier delivers from its own stock, which changed.
    SupplierSync,
}

/// How much of a sku can be sold.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum StockStatus {
    /// At least as much as the threshold, and something.
    InStock,
    /// Less than the threshold, but something.
    LowStock,
    /// Nothing.
    OutOfStock,
}

impl StockStatus {
    /// The status of a quantity that can be sold. A threshold of 0 is never reached from above.
    #[must_use]
    pub const fn of(available: u32, threshold_low_stock: u32) -> Self {
        if available == 0 {
            Self::OutOfStock
        } else if available < threshold_low_stock {
            Self::LowStock
        } else {
            Self::InStock
        }
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InStock => "in_stock",
            Self::LowStock => "low_stock",
            Self::OutOfStock => "out_of_stock",
        }
    }
}

impl fmt::Display for StockStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The stock of a sku changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The product.
    pub product_id: ProductId,
    /// The product's stock-keeping number, or that of one of its variants.
    pub sku: Sku,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` for an order's steps.
    pub changed_by: Text<256>,
    /// Why it changed.
    pub change_type: ChangeType,
    /// The new quantity less the previous one.
    pub quantity_change: i32,
    /// The quantity that could be sold before.
    pub previous_quantity: u32,
    /// The quantity that can be sold from now on: what is on hand less what is reserved.
    pub new_quantity: u32,
    /// The same as `new_quantity`.
    pub new_available: u32,
    /// What this quantity means.
    pub stock_status: StockStatus,
    /// The quantity below which stock is low. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub threshold_low_stock: Option<u32>,
    /// What is in the house. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_hand: Option<u32>,
    /// What of it is reserved for orders. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reserved: Option<u32>,
    /// Why it was corrected, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The order whose step it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// The stock's version after this event; projections use it as their version guard. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Sequence>,
}

/// Where the goods of an order stand.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReservationStatus {
    /// All of them are reserved.
    Reserved,
    /// There was not enough of them, so none is reserved.
    Failed,
    /// The order ended before any was asked for. Whatever asks for them later gets none.
    Withdrawn,
    /// What was reserved was given back.
    Released,
    /// They left the house.
    Shipped,
}

impl ReservationStatus {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Reserved,
        Self::Failed,
        Self::Withdrawn,
        Self::Released,
        Self::Shipped,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Failed => "failed",
            Self::Withdrawn => "withdrawn",
            Self::Released => "released",
            Self::Shipped => "shipped",
        }
    }
}

impl fmt::Display for ReservationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The reservation of an order's goods changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationChanged {
    /// The order.
    pub order_id: OrderId,
    /// Where its goods stand from now on.
    pub status: ReservationStatus,
    /// The order's goods.
    pub items: Vec<Goods>,
    /// Every line for which there was not enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// When it changed.
    pub changed_at: Timestamp,
    /// The reservation's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
