//! What a price list says of a sku: the price of one unit and of larger quantities.

use domain::{Rebuild, Step, must};
use events::{
    Contract as _, Envelope, PriceListId, Retention, Sequence, Sku, Text, Timestamp, UnitPrice,
    contracts::price::ListPriceChanged, subscription,
};
use outbox::State;
use serde::{Deserialize, Serialize};

use super::{PriceList, Refusal};
use crate::{
    Change, Price,
    price::{Prices, in_order},
};

/// What a price list says of a sku. Its fields change in this module alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListPrice {
    price_list_id: PriceListId,
    sku: Sku,
    /// Absent if it says nothing any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    prices: Option<Prices>,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for ListPrice {
    const AGGREGATE: &'static str = ListPriceChanged::AGGREGATE;
}

impl ListPrice {
    /// The id of what a list says of a sku. No two pairs have the same: the id of a list has no `-`.
    #[must_use]
    pub fn id(price_list_id: &PriceListId, sku: &Sku) -> String {
        format!("{price_list_id}-{sku}")
    }

    /// The list.
    #[must_use]
    pub fn price_list_id(&self) -> &PriceListId {
        &self.price_list_id
    }

    /// The sku.
    #[must_use]
    pub fn sku(&self) -> &Sku {
        &self.sku
    }

    /// The prices, in the currency of the list; `None` if it has none for the sku any more.
    #[must_use]
    pub fn prices(&self) -> Option<&Prices> {
        self.prices.as_ref()
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed it last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// Decides to set the prices of a sku in a list; `version` is the one that the row has after the change. It has no event if they are set
/// already.
///
/// # Errors
/// [`Refusal::Withdrawn`]; [`Refusal::NoBasePrice`] if the sku has none in the currency of the list; [`Refusal::Prices`].
pub fn set_price(
    before: Option<&ListPrice>,
    (list, price): (&PriceList, &Price),
    prices: Prices,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<ListPrice, ListPriceChanged>, Refusal> {
    list.must_be_active()?;
    if !price.currencies().contains_key(&list.currency()) {
        return Err(Refusal::NoBasePrice {
            sku: price.sku().clone(),
            currency: list.currency(),
        });
    }
    let prices = in_order(prices)?;
    Ok(change(
        before,
        (list, price),
        Some(prices),
        by,
        (version, now),
    ))
}

/// Decides that a list has no prices of a sku any more; `version` is the one that the row has after the change. They can be set again.
///
/// # Errors
/// [`Refusal::Withdrawn`]; [`Refusal::UnknownListPrice`] if it has none.
pub fn remove_price(
    before: Option<&ListPrice>,
    (list, price): (&PriceList, &Price),
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<ListPrice, ListPriceChanged>, Refusal> {
    list.must_be_active()?;
    if before.and_then(ListPrice::prices).is_none() {
        return Err(Refusal::UnknownListPrice {
            price_list_id: list.price_list_id().clone(),
            sku: price.sku().clone(),
        });
    }
    Ok(change(before, (list, price), None, by, (version, now)))
}

fn change(
    before: Option<&ListPrice>,
    (list, price): (&PriceList, &Price),
    prices: Option<Prices>,
    by: Text<256>,
    (version, now): (Sequence, Timestamp),
) -> Change<ListPrice, ListPriceChanged> {
    if let Some(before) = before
        && before.prices == prices
    {
        return Change::none(before.clone());
    }
    let previous = before.and_then(ListPrice::prices);
    let changed = ListPrice {
        price_list_id: list.price_list_id().clone(),
        sku: price.sku().clone(),
        prices,
        updated_at: before.map_or(now, |before| before.updated_at.max(now)),
        updated_by: by,
    };
    let event = ListPriceChanged {
        price_list_id: changed.price_list_id.clone(),
        sku: changed.sku.clone(),
        product_id: price.product_id().clone(),
        customer_id: list.audience().customer_id().cloned(),
        tier: list.audience().tier().cloned(),
        currency: list.currency(),
        previous_price: previous.map(|prices| prices.base_price),
        new_price: changed.prices().map(|prices| prices.base_price),
        volume_prices: changed
            .prices()
            .map_or_else(Vec::new, |prices| prices.volume_prices.clone()),
        changed_at: changed.updated_at,
        changed_by: changed.updated_by.clone(),
        version,
    };
    Change::new(changed, event)
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// The prices were set or removed.
        Changed(events::contracts::price::ListPriceChanged) by Mark,
    }
}

impl Rebuild for ListPrice {
    type Stored = Self;
    const RETENTION: Retention = ListPriceChanged::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Changed(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(
            Self::id(&event.price_list_id, &event.sku) == id,
            "it is about another price",
        )?;
        let base = |prices: Option<&Prices>| -> Option<UnitPrice> {
            prices.map(|prices| prices.base_price)
        };
        must(
            base(before.as_ref().and_then(Self::prices)) == event.previous_price,
            "it states another previous price",
        )?;
        must(
            before.is_none_or(|before| before.updated_at <= event.changed_at),
            "it happened before the last change",
        )?;
        must(
            event.new_price.is_some() || event.volume_prices.is_empty(),
            "it states prices of larger quantities, and none of one unit",
        )?;
        let prices = event.new_price.map(|base_price| Prices {
            base_price,
            volume_prices: event.volume_prices,
        });
        let price = Self {
            price_list_id: event.price_list_id,
            sku: event.sku,
            prices,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        Ok((price, event.version))
    }
}
