//! Request and response bodies.

use std::collections::BTreeMap;

use commerce::{
    category::{self, MOST_VALUES},
    price::Prices,
    product::{MOST_ATTRIBUTES, MOST_VARIANTS},
    stock::LARGEST_STOCK,
};
use events::{
    CategoryId, ProductId, Sequence, Sku, Slug, Text, Timestamp,
    contracts::{
        category::{AttributeDefinition, AttributeType},
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
    /// The category that it is in; if absent, none.
    #[serde(default)]
    pub category_id: Option<CategoryId>,
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
    /// The category that it is in; null if it is in none.
    pub category_id: Option<CategoryId>,
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
    pub prices: BTreeMap<Currency, Prices>,
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

/// The path parameter of a category.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CategoryPath {
    /// The category's id.
    pub category_id: CategoryId,
}

/// What a category says of an attribute of its products' variants.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AttributeDefinitionInput {
    /// The attribute's name.
    pub name: Text<50>,
    /// What its values are.
    #[serde(rename = "type")]
    pub attribute_type: AttributeType,
    /// The values of an `enum`, 1 to 50; for the other types absent.
    #[serde(default)]
    #[schemars(length(max = MOST_VALUES))]
    pub values: Vec<Text<200>>,
    /// Whether customers can narrow a list of products by it; if absent, they cannot.
    #[serde(default)]
    pub filterable: bool,
}

impl From<&AttributeDefinitionInput> for AttributeDefinition {
    fn from(input: &AttributeDefinitionInput) -> Self {
        Self {
            name: input.name.clone(),
            attribute_type: input.attribute_type,
            values: input.values.clone(),
            filterable: input.filterable,
        }
    }
}

/// Make a category, or replace what is said of it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CategoryRequest {
    /// The category that it stands below; if absent, it stands at the top.
    #[serde(default)]
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path. Of the categories below the same one no two have the same.
    pub slug: Slug,
    /// Its place among those below the same category, the lowest first; if absent, 0.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub position: u32,
    /// What it says of the attributes of its products' variants, at most 30.
    #[serde(default)]
    #[schemars(length(max = category::MOST_ATTRIBUTES))]
    pub attributes: Vec<AttributeDefinitionInput>,
}

/// Delete a category.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DeleteCategoryRequest {
    /// Where its products and the categories below it go. It is needed if there are any.
    #[serde(default)]
    pub reassign_to: Option<CategoryId>,
}

/// How a category stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CategoryReceipt {
    /// The category's id.
    pub category_id: CategoryId,
    /// The category that it stands below; null at the top.
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path.
    pub slug: Slug,
    /// Its place among those below the same category.
    pub position: u32,
    /// Where its products and the categories below it go, while it is being deleted; else null.
    pub reassigned_to: Option<CategoryId>,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A category where it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CategoryNode {
    /// The category's id.
    pub category_id: CategoryId,
    /// The category that it stands below; null at the top.
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path.
    pub slug: Slug,
    /// Its place among those below the same category.
    pub position: u32,
    /// The slugs from the top down to it, joined by `/`.
    pub path: String,
    /// How many categories stand above it, and it: 1 at the top, at most 8.
    pub depth: usize,
    /// Where its products and the categories below it go, while it is being deleted; else null.
    pub reassigned_to: Option<CategoryId>,
}

/// All categories.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CategoryTree {
    /// Each category comes before those below it; those below the same one come by position, then by name.
    pub items: Vec<CategoryNode>,
}

/// A category with where it stands.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CategoryAnswer {
    /// How it stands.
    #[serde(flatten)]
    pub category: CategoryReceipt,
    /// The slugs from the top down to it, joined by `/`.
    pub path: String,
    /// How many categories stand above it, and it: 1 at the top, at most 8.
    pub depth: usize,
    /// What it says of the attributes of its products' variants.
    pub attributes: Vec<AttributeDefinition>,
    /// The categories directly below it.
    pub children: Vec<CategoryNode>,
}
