//! Request and response bodies.

use std::collections::BTreeMap;

use commerce::{
    price::PriceList,
    product::{MOST_ATTRIBUTES, MOST_VARIANTS},
    stock::LARGEST_STOCK,
};
use events::{
    ProductId, Sequence, Sku, Text, Timestamp,
    contracts::{
        price::{Currency, TaxCategory},
        product::{Attribute, ProductStatus, Variant, Visibility},
        stock::StockStatus,
    },
};
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

/// The path parameter of a product.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProductPath {
    /// The product's id.
    pub product_id: ProductId,
}

/// A request that needs only its path.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct NothingRequest {}

/// A variant of a product.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct VariantInput {
    /// Its stock-keeping number. It then belongs to the product for ever.
    pub sku: Sku,
    /// What distinguishes it, if the product has more than one.
    #[serde(default)]
    pub name: Option<Text<200>>,
    /// Its properties, at most 20.
    #[serde(default)]
    #[schemars(length(max = MOST_ATTRIBUTES))]
    pub attributes: Vec<Attribute>,
}

impl From<&VariantInput> for Variant {
    fn from(input: &VariantInput) -> Self {
        Self {
            sku: input.sku.clone(),
            name: input.name.clone(),
            attributes: input.attributes.clone(),
            stock_status: None,
        }
    }
}

/// Put a product into the catalogue, or replace what the catalogue says of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ProductRequest {
    /// What it is called.
    pub name: Text<200>,
    /// What it is.
    #[serde(default)]
    pub description: Option<Text<2000>>,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// Who can buy it.
    pub visibility: Visibility,
    /// How it is taxed; if absent, `standard`.
    #[serde(default)]
    pub tax_category: TaxCategory,
    /// Its variants, 1 to 45.
    #[schemars(length(min = 1, max = MOST_VARIANTS))]
    pub variants: Vec<VariantInput>,
}

/// How a product stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProductReceipt {
    /// The product's id.
    pub product_id: ProductId,
    /// What it is called.
    pub name: Text<200>,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// Who can buy it.
    pub visibility: Visibility,
    /// How it is taxed.
    pub tax_category: TaxCategory,
    /// Whether it was taken out of the catalogue.
    pub deleted: bool,
    /// When it was put into the catalogue.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A variant of a product, with what is kept of it elsewhere.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct VariantAnswer {
    /// The variant.
    #[serde(flatten)]
    pub variant: Variant,
    /// Its prices by currency, without tax.
    pub prices: BTreeMap<Currency, PriceList>,
    /// How much of it can be sold; null if its stock was never counted.
    pub available: Option<u32>,
}

/// A product with its variants.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ProductAnswer {
    /// How it stands.
    #[serde(flatten)]
    pub product: ProductReceipt,
    /// What it is; null if nothing is said.
    pub description: Option<Text<2000>>,
    /// Its variants.
    pub variants: Vec<VariantAnswer>,
}
