//! Products: what the shop sells, each with one or more variants that have a stock-keeping number of their own.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{price::TaxCategory, stock::StockStatus};
use crate::{CategoryId, ProductId, Retention, Sequence, Sku, Text, Timestamp};

contracts! {
    kept Retention::Forever;
    Created: "product.created", Normal, "commerce-catalog-api", "product" [product_id];
    Deleted: "product.deleted", Normal, "commerce-catalog-api", "product" [product_id];
    Updated: "product.updated", Normal, "commerce-catalog-api", "product" [product_id];
}

/// Whether a product is sold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ProductStatus {
    /// Not yet.
    Draft,
    /// It is.
    Active,
    /// Not any more.
    Archived,
}

impl ProductStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Draft => "draft",
            Self::Active => "active",
            Self::Archived => "archived",
        }
    }
}

impl fmt::Display for ProductStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Who can buy a product.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Visibility {
    /// Everybody.
    Public,
    /// Businesses.
    B2b,
    /// Nobody.
    Hidden,
}

/// A property of a variant, as people read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Attribute {
    /// What it is: `colour`.
    pub name: Text<50>,
    /// Its value: `blue`.
    pub value: Text<200>,
}

/// A form of a product that has a stock-keeping number of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Variant {
    /// Its stock-keeping number. It belongs to this product for ever.
    pub sku: Sku,
    /// What distinguishes it, if the product has more than one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// Its properties.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<Attribute>,
    /// How much of it can be sold; absent if its stock was never counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stock_status: Option<StockStatus>,
}

/// A product as the catalogue shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Product {
    /// The product.
    pub id: ProductId,
    /// What it is called.
    pub name: Text<200>,
    /// What it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<2000>>,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// Who can buy it.
    pub visibility: Visibility,
    /// How it is taxed. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<TaxCategory>,
    /// The category that it is in; absent if it is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<CategoryId>,
    /// Its variants. Every event of Millrace has at least one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// What of a product changed. An update that changes more than one of these names the first of them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ChangeType {
    /// Whether it is sold.
    StatusChanged,
    /// Who can buy it.
    VisibilityChanged,
    /// It has a variant more.
    VariantAdded,
    /// It has a variant less.
    VariantRemoved,
    /// The name or the properties of a variant.
    VariantChanged,
    /// Its name.
    NameChanged,
    /// Its description.
    DescriptionChanged,
    /// How it is taxed.
    TaxCategoryChanged,
    /// The category that it is in.
    CategoryChanged,
    /// How much of a variant can be sold.
    StockStatusChanged,
}

/// The values of a product that an update changed; those that it did not change are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Values {
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// Its description; absent, too, if it had or has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<2000>>,
    /// Whether it is sold.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<ProductStatus>,
    /// Who can buy it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub visibility: Option<Visibility>,
    /// How it is taxed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<TaxCategory>,
    /// The category that it is in; absent, too, if it was or is in none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub category_id: Option<CategoryId>,
    /// The variants that changed, were added or were removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variants: Vec<Variant>,
}

/// A product was put into the catalogue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The product.
    pub product_id: ProductId,
    /// The product as the catalogue shows it.
    pub product: Product,
    /// When it was put there.
    pub created_at: Timestamp,
    /// Who put it there: the user for whom the caller acted, else the owner of its key.
    pub created_by: Text<256>,
    /// The product's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A product changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The product.
    pub product_id: ProductId,
    /// The stock-keeping number of the variant that changed, or of the first one if none did.
    pub sku: Sku,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` for its stock's status, and for a
    /// product whose category is deleted.
    pub updated_by: Text<256>,
    /// What of it changed.
    pub change_type: ChangeType,
    /// What changed, as it was before.
    pub previous_values: Values,
    /// What changed, as it is from now on.
    pub new_values: Values,
    /// The product as the catalogue shows it from now on.
    pub product: Product,
    /// The product's version after this event; projections use it as their version guard. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Sequence>,
}

/// A product was taken out of the catalogue, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The product.
    pub product_id: ProductId,
    /// The stock-keeping numbers of its variants. No other product gets them.
    pub skus: Vec<Sku>,
    /// When it was taken out.
    pub deleted_at: Timestamp,
    /// Who took it out: the user for whom the caller acted, else the owner of its key.
    pub deleted_by: Text<256>,
    /// The product's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
