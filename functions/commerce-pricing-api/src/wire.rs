//! Request and response bodies.

use std::collections::BTreeMap;

use api::AmountInput;
use commerce::{
    calculation::{LARGEST_QUANTITY, MOST_LINES, UnitCalculation},
    price::{MOST_VOLUME_PRICES, PriceList},
};
use events::{
    CountryCode, Day, Money, PerUnit, Percent, ProductId, Sequence, Sku, Text, TierName, Timestamp,
    contracts::{
        customer::VatTreatment,
        price::{Currency, TaxCategory, VolumePrice},
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path parameter of a price.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PricePath {
    /// The product's stock-keeping number.
    pub sku: Sku,
}

/// The path parameter of a tier.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TierPath {
    /// The tier's name.
    pub tier: TierName,
}

/// The path parameters of tax rates.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TaxRatePath {
    /// The country.
    pub country: CountryCode,
    /// The category.
    pub tax_category: TaxCategory,
}

/// A price from a larger quantity on.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct VolumePriceInput {
    /// The smallest quantity to which it applies, 2 or more. It then applies to every unit.
    #[schemars(range(min = 2, max = LARGEST_QUANTITY))]
    pub min_quantity: u32,
    /// The price of one unit, without tax.
    pub price: AmountInput<PerUnit>,
}

/// Set the prices of a sku in one currency.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PriceRequest {
    /// The product that the sku belongs to.
    pub product_id: ProductId,
    /// The currency.
    pub currency: Currency,
    /// The price of one unit, without tax, at most four decimals.
    pub base_price: AmountInput<PerUnit>,
    /// The prices of larger quantities; if absent, there are none.
    #[serde(default)]
    #[schemars(length(max = MOST_VOLUME_PRICES))]
    pub volume_prices: Vec<VolumePriceInput>,
}

impl PriceRequest {
    pub(crate) fn list(&self) -> PriceList {
        let rows = self.volume_prices.iter().map(|row| VolumePrice {
            min_quantity: row.min_quantity,
            price: row.price.amount(),
        });
        PriceList {
            base_price: self.base_price.amount(),
            volume_prices: rows.collect(),
        }
    }
}

/// Set a tier's percentage.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TierRequest {
    /// The per cent that its customers get off, 0 to 100.
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 2 decimals (%)"))]
    pub discount_percent: Percent,
}

/// Set a tax rate.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TaxRateRequest {
    /// The rate in per cent, 0 to 100.
    #[schemars(range(max = 100), extend("x-expected" = "a number from 0 to 100 with at most 2 decimals (%)"))]
    pub rate: Percent,
    /// The first day on which it applies, in UTC.
    pub valid_from: Day,
}

/// Ask what a quantity of a product costs.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CalculateRequest {
    /// The currency.
    pub currency: Currency,
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many, 1 to 1,000,000.
    #[schemars(range(min = 1, max = LARGEST_QUANTITY))]
    pub quantity: u32,
    /// The tier of the customer; if absent, none.
    #[serde(default)]
    pub tier: Option<TierName>,
}

/// A line of an order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OrderLineInput {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many, 1 to 1,000,000.
    #[schemars(range(min = 1, max = LARGEST_QUANTITY))]
    pub quantity: u32,
    /// How it is taxed; if absent, `standard`. The category `zero` is never taxed.
    #[serde(default)]
    pub tax_category: TaxCategory,
}

/// Ask what an order comes to.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CalculateOrderRequest {
    /// The currency.
    pub currency: Currency,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// The day whose tax rates apply; if absent, today in UTC.
    #[serde(default)]
    pub day: Option<Day>,
    /// The tier of the customer; if absent, none.
    #[serde(default)]
    pub tier: Option<TierName>,
    /// How the order is taxed; if absent, by the country's rates.
    #[serde(default)]
    pub vat_treatment: VatTreatment,
    /// The lines, 1 to 45.
    #[schemars(length(min = 1, max = MOST_LINES))]
    pub lines: Vec<OrderLineInput>,
}

/// The prices of a sku.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PriceAnswer {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// The product.
    pub product_id: ProductId,
    /// The prices by currency.
    pub prices: BTreeMap<Currency, PriceList>,
    /// When they changed last.
    pub updated_at: Timestamp,
    /// Who changed them last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A tier.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TierAnswer {
    /// Its name.
    pub tier: TierName,
    /// The per cent that its customers get off.
    pub discount_percent: Percent,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A tax rate.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TaxRateView {
    /// The first day on which it applies, in UTC.
    pub valid_from: Day,
    /// The rate in per cent.
    pub rate: Percent,
}

/// A country's tax rates for a category.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TaxRatesAnswer {
    /// The country.
    pub country: CountryCode,
    /// The category.
    pub tax_category: TaxCategory,
    /// The rates, oldest first.
    pub rates: Vec<TaxRateView>,
    /// When they changed last.
    pub updated_at: Timestamp,
    /// Who changed them last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// What a quantity of a product costs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CalculateAnswer {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What a unit costs, and why.
    #[serde(flatten)]
    pub unit: UnitCalculation,
    /// What the quantity comes to, without tax.
    pub line_total: Money,
}
