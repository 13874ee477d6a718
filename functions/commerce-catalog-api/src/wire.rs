//! Request and response bodies.

use commerce::stock::LARGEST_STOCK;
use events::{ProductId, Sequence, Sku, Text, Timestamp, contracts::stock::StockStatus};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path parameter of a stock.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct StockPath {
    /// The product's stock-keeping number.
    pub sku: Sku,
}

/// Set how much of a sku is in the house.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CountRequest {
    /// The product that the sku belongs to.
    pub product_id: ProductId,
    /// What is in the house, whether reserved or not.
    #[schemars(range(max = LARGEST_STOCK))]
    pub quantity: u32,
}

/// Record goods that came in.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct ReceiptRequest {
    /// How much came in, more than zero.
    #[schemars(range(min = 1, max = LARGEST_STOCK))]
    pub quantity: u32,
}

/// Correct how much there is.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AdjustmentRequest {
    /// How much more there is; less if it is below zero.
    #[schemars(range(min = -1_000_000_000, max = LARGEST_STOCK))]
    pub delta: i64,
    /// Why: broken, lost, found.
    pub reason: Text<500>,
}

/// Set the quantity below which stock is low.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct ThresholdRequest {
    /// The quantity; 0: never low.
    #[schemars(range(max = LARGEST_STOCK))]
    pub threshold_low_stock: u32,
}

/// The stock of a sku.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct StockAnswer {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// The product.
    pub product_id: ProductId,
    /// What is in the house.
    pub on_hand: u32,
    /// What of it is reserved for orders.
    pub reserved: u32,
    /// What can be sold: the difference.
    pub available: u32,
    /// The quantity below which stock is low; 0: never.
    pub threshold_low_stock: u32,
    /// What the quantity that can be sold means.
    pub stock_status: StockStatus,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}
