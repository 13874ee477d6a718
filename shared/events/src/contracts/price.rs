//! Prices and price lists, and what totals are calculated from: tiers and tax rates.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Change, CountryCode, CustomerId, Day, PerUnit, Percent, PercentUnit, PriceListId, ProductId,
    Retention, Sequence, Sku, Text, TierName, Timestamp, UnitPrice,
};

contracts! {
    kept Retention::Forever;
    Changed: "price.changed", Critical, "commerce-pricing-api", "price" [sku];
    ListChanged: "price.list_changed", Critical, "commerce-pricing-api", "price_list" [price_list_id];
    ListPriceChanged: "price.list_price_changed", Critical, "commerce-pricing-api", "price_list_price" [price_list_id - sku];
    TaxRateChanged: "price.tax_rate_changed", Critical, "commerce-pricing-api", "price_tax_rate" [country - tax_category];
    TierChanged: "price.tier_changed", Critical, "commerce-pricing-api", "price_tier" [tier];
}

/// The currency of a price.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Currency {
    /// Euros.
    Eur,
    /// Romanian lei.
    Ron,
    /// US dollars.
    Usd,
}

impl Currency {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Eur, Self::Ron, Self::Usd];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Eur => "EUR",
            Self::Ron => "RON",
            Self::Usd => "USD",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What kind of price changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PriceType {
    /// The price of any quantity.
    BasePrice,
    /// Only the prices of larger quantities.
    VolumePrice,
    /// The price for a tier of customers.
    TierPrice,
    /// The price agreed with a customer.
    ContractPrice,
    /// A price that a rule sets by demand or stock.
    Dynamic,
}

/// The price of one unit from a quantity on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct VolumePrice {
    /// The smallest quantity to which the price applies, 2 or more. It then applies to every unit.
    pub min_quantity: u32,
    /// The price of one unit.
    pub price: UnitPrice,
}

/// How a product is taxed. Which rate this means is a matter of country and day.
#[derive(
    Debug,
    Clone,
    Copy,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum TaxCategory {
    /// The standard rate.
    #[default]
    Standard,
    /// A reduced rate.
    Reduced,
    /// Not taxed, in every country.
    Zero,
}

impl TaxCategory {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Standard, Self::Reduced, Self::Zero];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Standard => "standard",
            Self::Reduced => "reduced",
            Self::Zero => "zero",
        }
    }
}

impl fmt::Display for TaxCategory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The price of a product changed in one currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The product.
    pub product_id: ProductId,
    /// The product's stock-keeping number, or that of one of its variants.
    pub sku: Sku,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key.
    pub changed_by: Text<256>,
    /// What kind of price changed.
    pub price_type: PriceType,
    /// The base price before; absent if there was none in this currency.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_price: Option<UnitPrice>,
    /// The base price from now on: that of one unit, without tax.
    pub new_price: UnitPrice,
    /// The new base price less the previous one; absent if there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_difference: Option<Change<PerUnit>>,
    /// The difference in per cent of the previous price, rounded half to even to two decimals; absent if there was none,
    /// if it was zero, or if it is too large to state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub percentage_change: Option<Change<PercentUnit>>,
    /// The currency of the prices.
    pub currency: Currency,
    /// All prices of larger quantities from now on, by quantity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_prices: Vec<VolumePrice>,
    /// Whether an open quote names the product.
    pub affects_active_quotes: bool,
    /// Whether such a quote must be priced again: it names the product, and the change is large enough.
    pub requote_required: bool,
    /// The sales channels that show the price.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub channels_affected: Vec<Text<50>>,
    /// The version of all prices of the sku after this event. The event states those of one currency, so a projection has a row
    /// for each sku and currency and uses this as its version guard. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Sequence>,
}

/// How the prices of a list count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ListKind {
    /// They take the place of the prices that would apply without the list.
    Override,
    /// They do so only where they are lower.
    Sale,
}

/// Where a price list stands. Whether its prices apply is also a matter of the time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ListStatus {
    /// Its prices apply from its begin to its end.
    Active,
    /// They apply no more, for ever.
    Withdrawn,
}

/// What happened to a price list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ListChange {
    /// It was made. It has no prices yet.
    Created,
    /// Its terms were replaced.
    Updated,
    /// It was taken back, for ever.
    Withdrawn,
    /// Its time has begun. Its prices applied from then on, however late the event is.
    Began,
    /// Its time is over. Its prices applied until then, however late the event is.
    Ended,
}

/// What can change of a price list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ListTerms {
    /// What it is called.
    pub name: Text<200>,
    /// How its prices count.
    pub kind: ListKind,
    /// Of the lists for the same customers, the one with the highest number counts first.
    pub priority: u32,
    /// When its prices begin to apply; absent if they do so from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// When they no longer apply; absent if they do so for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

/// A price list changed, or its time began or ended. What it says of single products is told by `price.list_price_changed`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListChanged {
    /// The list.
    pub price_list_id: PriceListId,
    /// What happened.
    pub change_type: ListChange,
    /// The customer that it is for: its prices are agreed by contract. Absent if it is for a tier or for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The tier whose customers it is for; absent if it is for one customer or for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The currency of its prices.
    pub currency: Currency,
    /// Where it stands from now on.
    pub status: ListStatus,
    /// Its terms from now on.
    pub terms: ListTerms,
    /// Its terms before; present if, and only if, they were replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_terms: Option<ListTerms>,
    /// When it changed, or when it was seen that its time had begun or ended.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` if its time began or ended.
    pub changed_by: Text<256>,
    /// The list's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// What a price list says of a product changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ListPriceChanged {
    /// The list.
    pub price_list_id: PriceListId,
    /// The product's stock-keeping number, or that of one of its variants.
    pub sku: Sku,
    /// The product.
    pub product_id: ProductId,
    /// The customer that the list is for; absent if it is for a tier or for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// The tier whose customers the list is for; absent if it is for one customer or for everybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The currency of the prices.
    pub currency: Currency,
    /// The price of one unit before; absent if the list had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_price: Option<UnitPrice>,
    /// The price of one unit from now on, without tax; absent if the list has none any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_price: Option<UnitPrice>,
    /// All prices of larger quantities from now on, by quantity.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub volume_prices: Vec<VolumePrice>,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key.
    pub changed_by: Text<256>,
    /// The version, after this event, of what the list says of the product; projections use it as their version guard.
    pub version: Sequence,
}

/// A tier's percentage changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TierChanged {
    /// The tier.
    pub tier: TierName,
    /// The percentage before; absent if the tier is new.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_discount_percent: Option<Percent>,
    /// The per cent, 0 to 100, that its customers get off a price.
    pub discount_percent: Percent,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key.
    pub changed_by: Text<256>,
    /// The tier's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A country's tax rate for a category was set, from a day on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct TaxRateChanged {
    /// The country.
    pub country: CountryCode,
    /// The category.
    pub tax_category: TaxCategory,
    /// The rate that had been set for the same day; absent if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_rate: Option<Percent>,
    /// The rate in per cent, 0 to 100.
    pub rate: Percent,
    /// The first day on which the rate applies, in UTC. It applies until the day of the next one.
    pub valid_from: Day,
    /// When it was set.
    pub changed_at: Timestamp,
    /// Who set it: the user for whom the caller acted, else the owner of its key.
    pub changed_by: Text<256>,
    /// The version of the category's rates after this event; projections use it as their version guard.
    pub version: Sequence,
}
