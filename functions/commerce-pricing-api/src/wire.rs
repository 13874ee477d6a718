//! Request and response bodies.

use std::collections::BTreeMap;

use api::AmountInput;
use commerce::{
    calculation::{LARGEST_QUANTITY, MOST_LINES, UnitCalculation},
    price::{MOST_VOLUME_PRICES, Prices},
};
use events::{
    CountryCode, CustomerId, Day, Money, PerUnit, Percent, PriceListId, ProductId, Sequence, Sku,
    Text, TierName, Timestamp, UnitPrice,
    contracts::{
        customer::VatTreatment,
        price::{Currency, ListKind, ListStatus, ListTerms, TaxCategory, VolumePrice},
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
    pub(crate) fn list(&self) -> Prices {
        prices(&self.base_price, &self.volume_prices)
    }
}

fn prices(one: &AmountInput<PerUnit>, volume_prices: &[VolumePriceInput]) -> Prices {
    let rows = volume_prices.iter().map(|row| VolumePrice {
        min_quantity: row.min_quantity,
        price: row.price.amount(),
    });
    Prices {
        base_price: one.amount(),
        volume_prices: rows.collect(),
    }
}

/// The path parameter of a price list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PriceListPath {
    /// The list.
    pub price_list_id: PriceListId,
}

/// The path parameters of what a price list says of a sku.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ListPricePath {
    /// The list.
    pub price_list_id: PriceListId,
    /// The product's stock-keeping number.
    pub sku: Sku,
}

/// A request that needs only its path.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct NothingRequest {}

/// Make a price list, or replace its terms. For whom it is and its currency cannot change.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PriceListRequest {
    /// What it is called.
    pub name: Text<200>,
    /// How its prices count.
    pub kind: ListKind,
    /// The customer that it is for.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The tier whose customers it is for. Without customer and tier, it is for everybody.
    #[serde(default)]
    pub tier: Option<TierName>,
    /// The currency of its prices.
    pub currency: Currency,
    /// Of the lists for the same customers, the one with the highest number counts first; if absent, 0.
    #[serde(default)]
    #[schemars(range(max = 1_000_000))]
    pub priority: u32,
    /// When its prices begin to apply; if absent, at once.
    #[serde(default)]
    pub valid_from: Option<Timestamp>,
    /// When they no longer apply, later than `valid_from`; if absent, never.
    #[serde(default)]
    pub valid_until: Option<Timestamp>,
}

impl PriceListRequest {
    pub(crate) fn terms(&self) -> ListTerms {
        ListTerms {
            name: self.name.clone(),
            kind: self.kind,
            priority: self.priority,
            valid_from: self.valid_from,
            valid_until: self.valid_until,
        }
    }
}

/// Set the prices of a sku in a price list, in the currency of the list.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ListPriceRequest {
    /// The price of one unit, without tax, at most four decimals.
    pub price: AmountInput<PerUnit>,
    /// The prices of larger quantities; if absent, there are none.
    #[serde(default)]
    #[schemars(length(max = MOST_VOLUME_PRICES))]
    pub volume_prices: Vec<VolumePriceInput>,
}

impl ListPriceRequest {
    pub(crate) fn prices(&self) -> Prices {
        prices(&self.price, &self.volume_prices)
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
    /// The customer, whose tier and price lists count.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The tier of some customer, if none is named; if absent, none.
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
    /// The customer, whose tier and price lists count. Country and taxation are not taken from it.
    #[serde(default)]
    pub customer_id: Option<CustomerId>,
    /// The tier of some customer, if none is named; if absent, none.
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
    pub prices: BTreeMap<Currency, Prices>,
    /// When they changed last.
    pub updated_at: Timestamp,
    /// Who changed them last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A price list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PriceListAnswer {
    /// The list.
    pub price_list_id: PriceListId,
    /// What it is called.
    pub name: Text<200>,
    /// How its prices count.
    pub kind: ListKind,
    /// The customer that it is for; null if it is for a tier or for everybody.
    pub customer_id: Option<CustomerId>,
    /// The tier whose customers it is for; null if it is for one customer or for everybody.
    pub tier: Option<TierName>,
    /// The currency of its prices.
    pub currency: Currency,
    /// Of the lists for the same customers, the one with the highest number counts first.
    pub priority: u32,
    /// When its prices begin to apply; null if they do so from the beginning.
    pub valid_from: Option<Timestamp>,
    /// When they no longer apply; null if they do so for ever.
    pub valid_until: Option<Timestamp>,
    /// Where it stands.
    pub status: ListStatus,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it.
    pub created_by: Text<256>,
    /// When it changed last, or when its time was last seen to begin or end.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// What a price list says of a sku.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ListPriceAnswer {
    /// The list.
    pub price_list_id: PriceListId,
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// The price of one unit, without tax; null if the list has none any more.
    pub price: Option<UnitPrice>,
    /// The prices of larger quantities, by quantity.
    pub volume_prices: Vec<VolumePrice>,
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
