//! The prices of a stock-keeping number: in each currency a base price and prices of larger quantities.
//!
//! What [price lists](crate::price_list) say of the sku stands elsewhere. Each change of that, and of a list for everybody that says
//! something of it, rewrites the row of its prices, without an event of them: whoever read the prices before decides again.

use std::collections::BTreeMap;

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Change as Difference, Contract as _, Envelope, ProductId, Retention, Sequence, Sku, Text,
    Timestamp, UnitPrice,
    contracts::price::{Changed, Currency, PriceType, VolumePrice},
    subscription,
};
use outbox::State;
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Change, Refusal, quote};

/// The most prices of larger quantities in a currency.
pub const MOST_VOLUME_PRICES: usize = 20;

/// The prices of a stock-keeping number. Its fields change in [`set`] alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Price {
    product_id: ProductId,
    sku: Sku,
    currencies: BTreeMap<Currency, Prices>,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

/// The prices in a currency.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Prices {
    /// The price of one unit, without tax, in any quantity for which there is no other.
    pub base_price: UnitPrice,
    /// The prices of larger quantities, by quantity.
    pub volume_prices: Vec<VolumePrice>,
}

impl Prices {
    /// The price of one unit if this many are bought, and the quantity from which it applies: 1 for the base price.
    #[must_use]
    pub fn of_quantity(&self, quantity: u32) -> (u32, UnitPrice) {
        let reached = |row: &&VolumePrice| row.min_quantity <= quantity;
        let row = self.volume_prices.iter().rev().find(reached);
        row.map_or((1, self.base_price), |row| (row.min_quantity, row.price))
    }
}

impl State for Price {
    const AGGREGATE: &'static str = Changed::AGGREGATE;
}

impl Price {
    /// The product.
    #[must_use]
    pub fn product_id(&self) -> &ProductId {
        &self.product_id
    }

    /// The stock-keeping number.
    #[must_use]
    pub fn sku(&self) -> &Sku {
        &self.sku
    }

    /// The prices by currency.
    #[must_use]
    pub fn currencies(&self) -> &BTreeMap<Currency, Prices> {
        &self.currencies
    }

    /// When they changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed them last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// The command to set all prices of a stock-keeping number in one currency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPrice {
    /// The product.
    pub product_id: ProductId,
    /// The stock-keeping number.
    pub sku: Sku,
    /// The currency.
    pub currency: Currency,
    /// The prices, the larger quantities in any order.
    pub list: Prices,
    /// Who sets them.
    pub by: Text<256>,
}

/// Who uses a sku.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct SkuUse<'a> {
    /// The product that has it; `None` if it is in no product yet: then it belongs to that for which a price was set first.
    pub owner: Option<&'a ProductId>,
    /// Whether an open quote has a line of it.
    pub in_open_quotes: bool,
}

/// Decides to set prices; `version` is the one that the row has after the change. It has no event if they are set already.
///
/// # Errors
/// [`Refusal::OtherProduct`], [`Refusal::TooMany`], [`Refusal::QuantityTooSmall`], [`Refusal::SameQuantity`].
pub fn set(
    before: Option<&Price>,
    command: SetPrice,
    sku_use: SkuUse<'_>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Price, Changed>, Refusal> {
    let SetPrice {
        product_id,
        sku,
        currency,
        list,
        by,
    } = command;
    let owner = sku_use.owner.or(before.map(Price::product_id));
    if let Some(owner) = owner
        && *owner != product_id
    {
        let product_id = owner.clone();
        return Err(Refusal::OtherProduct { sku, product_id });
    }
    let list = in_order(list)?;
    let previous = before.and_then(|price| price.currencies.get(&currency));
    if let Some(price) = before
        && previous == Some(&list)
        && price.product_id == product_id
    {
        return Ok(Change::none(price.clone()));
    }
    let previous_price = previous.map(|list| list.base_price);
    let now = before.map_or(now, |price| price.updated_at.max(now));
    let event = Changed {
        product_id: product_id.clone(),
        sku: sku.clone(),
        changed_at: now,
        changed_by: by.clone(),
        price_type: if previous_price == Some(list.base_price) {
            PriceType::VolumePrice
        } else {
            PriceType::BasePrice
        },
        previous_price,
        new_price: list.base_price,
        price_difference: previous_price.map(|before| Difference::between(before, list.base_price)),
        percentage_change: previous_price.and_then(|before| percentage(before, list.base_price)),
        currency,
        volume_prices: list.volume_prices.clone(),
        affects_active_quotes: sku_use.in_open_quotes,
        requote_required: sku_use.in_open_quotes
            && previous_price.is_some_and(|before| quote::is_far(before, list.base_price)),
        channels_affected: Vec::new(),
        version: Some(version),
    };
    let mut currencies = before.map_or_else(BTreeMap::new, |price| price.currencies.clone());
    currencies.insert(currency, list);
    let price = Price {
        product_id,
        sku,
        currencies,
        updated_at: now,
        updated_by: by,
    };
    Ok(Change::new(price, event))
}

/// The prices, the larger quantities in their order.
///
/// # Errors
/// [`Refusal::TooMany`], [`Refusal::QuantityTooSmall`], [`Refusal::SameQuantity`].
pub(crate) fn in_order(mut list: Prices) -> Result<Prices, Refusal> {
    let rows = &mut list.volume_prices;
    if rows.len() > MOST_VOLUME_PRICES {
        let most = MOST_VOLUME_PRICES;
        return Err(Refusal::TooMany { most });
    }
    rows.sort_by_key(|row| row.min_quantity);
    if rows.first().is_some_and(|row| row.min_quantity < 2) {
        return Err(Refusal::QuantityTooSmall);
    }
    let same = rows
        .windows(2)
        .find(|pair| pair[0].min_quantity == pair[1].min_quantity);
    if let Some(pair) = same {
        let min_quantity = pair[0].min_quantity;
        return Err(Refusal::SameQuantity { min_quantity });
    }
    Ok(list)
}

/// The difference in per cent of the price before.
fn percentage(before: UnitPrice, after: UnitPrice) -> Option<Difference<events::PercentUnit>> {
    let difference = after.decimal() - before.decimal();
    let percent = difference
        .checked_mul(Decimal::ONE_HUNDRED)?
        .checked_div(before.decimal())?;
    // `round_dp` rounds half to even.
    Difference::new(percent.round_dp(2)).ok()
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// Prices were set.
        Set(events::contracts::price::Changed) by Mark,
    }
}

impl Rebuild for Price {
    type Stored = Self;
    const RETENTION: Retention = Changed::RETENTION;
    /// A change of what a price list says of the sku, or of a list for everybody that says something, rewrites the row.
    const SILENT_WRITES: bool = true;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Set(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(event.sku.as_str() == id, "it is about another sku")?;
        let version = event.version;
        let version = version.ok_or(Contradiction::Says("it states no version"))?;
        let mut currencies = match before {
            None => BTreeMap::new(),
            Some(before) => {
                must(
                    before.updated_at <= event.changed_at,
                    "it happened before the last change",
                )?;
                before.currencies
            }
        };
        let list = Prices {
            base_price: event.new_price,
            volume_prices: event.volume_prices,
        };
        let previous = currencies.insert(event.currency, list);
        must(
            previous.map(|list| list.base_price) == event.previous_price,
            "it states another previous price",
        )?;
        let price = Self {
            product_id: event.product_id,
            sku: event.sku,
            currencies,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        Ok((price, version))
    }
}

#[cfg(test)]
mod tests;
