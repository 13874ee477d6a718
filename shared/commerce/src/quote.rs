//! A quote: an offer to a customer at locked prices, made from a cart.
//!
//! A quote locks all that it comes to: the price of each unit, the tax, and the country whose rates made the tax. Accepted, it becomes
//! an order at exactly that, in one transaction with it. Its lines never change: a quote that is priced again is a new one, which takes
//! the place of the old. Of a cart's quotes only the last can be open or expired; the others were accepted, rejected or superseded.
//!
//! A quote watches the skus of its lines ([`Watch`]). If prices move too far from the locked ones, it needs repricing, and is not
//! accepted any more.

mod rows;

pub use rows::{Due, Last, Watch};

use std::{collections::BTreeMap, time::Duration};

use domain::{Contradiction, Rebuild, Step, Transitions, must};
use events::{
    CartId, Contract as _, CountryCode, CustomerId, Envelope, OrderId, QuoteId, QuoteNumber,
    Retention, Sequence, Sku, Text, TierName, Timestamp, UnitPrice,
    contracts::{
        cart::PriceChange,
        customer::VatTreatment,
        order::{Item, Totals},
        price::Currency,
        quote::{Accepted, Action, Created, Expired, QuoteStatus, Rejected, Updated},
    },
    subscription,
};
use outbox::State;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Change, order::Refusal};

/// For how many days a quote is valid at most.
pub const MOST_VALID_DAYS: u32 = 90;

/// For how many days a quote is valid, unless it is said otherwise.
pub const VALID_DAYS: u32 = 30;

/// A quote needs repricing once the price of a unit is this far from the locked one, in per cent of that.
pub const REQUOTE_PERCENT: u32 = 5;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The numbers of quotes that a process has taken.
pub type Numbers = crate::numbers::Numbers<QuoteNumber>;

/// Which status can follow which.
pub const STATUS: Transitions<QuoteStatus> = Transitions::new(&[
    (
        QuoteStatus::Open,
        &[
            QuoteStatus::Accepted,
            QuoteStatus::Rejected,
            QuoteStatus::Expired,
            QuoteStatus::Superseded,
        ],
    ),
    (QuoteStatus::Accepted, &[]),
    (QuoteStatus::Rejected, &[]),
    (QuoteStatus::Expired, &[QuoteStatus::Superseded]),
    (QuoteStatus::Superseded, &[]),
]);

/// A quote. Its fields change in this module alone, which also makes the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    quote_id: QuoteId,
    quote_number: QuoteNumber,
    customer_id: CustomerId,
    cart_id: CartId,
    status: QuoteStatus,
    needs_repricing: bool,
    items: Vec<Item>,
    totals: Totals,
    country: CountryCode,
    vat_treatment: VatTreatment,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<TierName>,
    valid_until: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    superseded_by: Option<QuoteId>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<500>>,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Quote {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

impl Quote {
    /// Its id.
    #[must_use]
    pub fn quote_id(&self) -> QuoteId {
        self.quote_id
    }

    /// Its number, as people read it.
    #[must_use]
    pub fn quote_number(&self) -> &QuoteNumber {
        &self.quote_number
    }

    /// The customer.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// The cart that it was made from.
    #[must_use]
    pub fn cart_id(&self) -> CartId {
        self.cart_id
    }

    /// Where it stands. It is `open` for up to some minutes after its time is over.
    #[must_use]
    pub fn status(&self) -> QuoteStatus {
        self.status
    }

    /// Whether it must be priced again before it can be accepted.
    #[must_use]
    pub fn needs_repricing(&self) -> bool {
        self.needs_repricing
    }

    /// Its lines, at the prices that it locks.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What it comes to.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// The currency of its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.totals.currency
    }

    /// The country whose tax rates apply.
    #[must_use]
    pub fn country(&self) -> &CountryCode {
        &self.country
    }

    /// How it is taxed.
    #[must_use]
    pub fn vat_treatment(&self) -> VatTreatment {
        self.vat_treatment
    }

    /// The customer's tier by which its prices were calculated.
    #[must_use]
    pub fn tier(&self) -> Option<&TierName> {
        self.tier.as_ref()
    }

    /// When it can no longer be accepted.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// The order that it became.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.order_id
    }

    /// The quote that took its place.
    #[must_use]
    pub fn superseded_by(&self) -> Option<QuoteId> {
        self.superseded_by
    }

    /// Why the customer rejected it.
    #[must_use]
    pub fn reason(&self) -> Option<&Text<500>> {
        self.reason.as_ref()
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
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

    /// Whether it is open at this time: its time counts, whether its end was written down or not.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status == QuoteStatus::Open && now < self.valid_until
    }

    /// Whether another quote can take its place: it is open, or its time is over.
    #[must_use]
    pub fn can_be_superseded(&self) -> bool {
        STATUS.next(self.status).contains(&QuoteStatus::Superseded)
    }

    /// The lines of which a unit costs now so much more or less that the quote must be priced again. `now` is the same goods, priced
    /// anew.
    #[must_use]
    pub(crate) fn price_changes(&self, now: &BTreeMap<Sku, UnitPrice>) -> Vec<PriceChange> {
        let changed = self.items.iter().filter_map(|item| {
            let new_price = *now.get(&item.sku)?;
            is_far(item.unit_price, new_price).then(|| PriceChange {
                item_id: item.item_id,
                sku: item.sku.clone(),
                previous_price: item.unit_price,
                new_price,
            })
        });
        changed.collect()
    }

    /// # Errors
    /// [`Refusal::QuoteClosed`] if no other quote can take its place.
    pub(crate) fn must_be_replaceable(&self) -> Result<(), Refusal> {
        if self.can_be_superseded() {
            Ok(())
        } else {
            Err(self.closed())
        }
    }

    fn closed(&self) -> Refusal {
        Refusal::QuoteClosed {
            status: self.status,
            order_id: self.order_id,
            superseded_by: self.superseded_by,
        }
    }

    fn must_be_open(&self, now: Timestamp) -> Result<(), Refusal> {
        match self.status {
            QuoteStatus::Open if self.is_open(now) => Ok(()),
            QuoteStatus::Open | QuoteStatus::Expired => Err(Refusal::QuoteExpired {
                valid_until: self.valid_until,
            }),
            QuoteStatus::Accepted | QuoteStatus::Rejected | QuoteStatus::Superseded => {
                Err(self.closed())
            }
        }
    }

    /// This quote, changed at a time, but not before its last change.
    fn changed(&self, status: QuoteStatus, by: Text<256>, now: Timestamp) -> Self {
        Self {
            status,
            updated_at: self.updated_at.max(now),
            updated_by: by,
            ..self.clone()
        }
    }
}

/// Whether a price is so far from the one before that a quote with that needs repricing.
#[must_use]
pub fn is_far(before: UnitPrice, after: UnitPrice) -> bool {
    let difference = (after.decimal() - before.decimal()).abs();
    let bound = before.decimal() * Decimal::from(REQUOTE_PERCENT);
    !difference.is_zero() && difference * Decimal::ONE_HUNDRED >= bound
}

/// What a quote is made with, after everything was looked up and calculated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offered {
    /// The quote's id.
    pub quote_id: QuoteId,
    /// Its number.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// The cart that it is made from.
    pub cart_id: CartId,
    /// Its lines.
    pub items: Vec<Item>,
    /// What it comes to.
    pub totals: Totals,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// The customer's tier by which the prices were calculated.
    pub tier: Option<TierName>,
    /// For how many days it is valid, 1 to [`MOST_VALID_DAYS`].
    pub valid_days: u32,
    /// Who makes it.
    pub by: Text<256>,
}

/// Makes a quote; `version` is the one that the row has afterwards.
#[must_use]
pub fn create(offered: Offered, version: Sequence, now: Timestamp) -> Change<Quote, Created> {
    let quote = Quote {
        quote_id: offered.quote_id,
        quote_number: offered.quote_number,
        customer_id: offered.customer_id,
        cart_id: offered.cart_id,
        status: QuoteStatus::Open,
        needs_repricing: false,
        items: offered.items,
        totals: offered.totals,
        country: offered.country,
        vat_treatment: offered.vat_treatment,
        tier: offered.tier,
        valid_until: now.plus(DAY.saturating_mul(offered.valid_days)),
        order_id: None,
        superseded_by: None,
        reason: None,
        created_at: now,
        updated_at: now,
        updated_by: offered.by,
    };
    let event = Created {
        quote_id: quote.quote_id,
        quote_number: quote.quote_number.clone(),
        customer_id: quote.customer_id.clone(),
        cart_id: quote.cart_id,
        status: quote.status,
        items: quote.items.clone(),
        totals: quote.totals.clone(),
        country: quote.country.clone(),
        vat_treatment: quote.vat_treatment,
        tier: quote.tier.clone(),
        valid_until: quote.valid_until,
        created_at: quote.created_at,
        created_by: quote.updated_by.clone(),
        version,
    };
    Change::new(quote, event)
}

/// Lets another quote take the place of one; `version` is the one that the row has after the change.
///
/// # Errors
/// [`Refusal::QuoteClosed`] if it is neither open nor expired.
pub fn supersede(
    before: &Quote,
    superseded_by: QuoteId,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Quote, Updated>, Refusal> {
    before.must_be_replaceable()?;
    let mut quote = before.changed(QuoteStatus::Superseded, by, now);
    quote.superseded_by = Some(superseded_by);
    let event = updated(&quote, Action::Superseded, Vec::new(), version);
    Ok(Change::new(quote, event))
}

/// Says that a quote must be priced again; `version` is the one that the row has after the change. One of which that is said, and one
/// that is not open at this time, stays as it is; so does one without changes.
#[must_use]
pub fn flag(
    before: &Quote,
    price_changes: Vec<PriceChange>,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Change<Quote, Updated> {
    if price_changes.is_empty() || before.needs_repricing || !before.is_open(now) {
        return Change::none(before.clone());
    }
    let mut quote = before.changed(before.status, by, now);
    quote.needs_repricing = true;
    let event = updated(&quote, Action::RepricingNeeded, price_changes, version);
    Change::new(quote, event)
}

fn updated(
    quote: &Quote,
    action: Action,
    price_changes: Vec<PriceChange>,
    version: Sequence,
) -> Updated {
    Updated {
        quote_id: quote.quote_id,
        quote_number: quote.quote_number.clone(),
        customer_id: quote.customer_id.clone(),
        action,
        status: quote.status,
        needs_repricing: quote.needs_repricing,
        price_changes,
        superseded_by: quote.superseded_by,
        updated_at: quote.updated_at,
        updated_by: quote.updated_by.clone(),
        version,
    }
}

/// Decides to turn a quote into an order; `version` is the one that the row has after the change.
///
/// # Errors
/// [`Refusal::QuoteClosed`], [`Refusal::QuoteExpired`], [`Refusal::QuoteNeedsRepricing`].
pub fn accept(
    before: &Quote,
    order_id: OrderId,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Quote, Accepted>, Refusal> {
    before.must_be_open(now)?;
    if before.needs_repricing {
        let quote_id = before.quote_id;
        return Err(Refusal::QuoteNeedsRepricing { quote_id });
    }
    let mut quote = before.changed(QuoteStatus::Accepted, by, now);
    quote.order_id = Some(order_id);
    let event = Accepted {
        quote_id: quote.quote_id,
        quote_number: quote.quote_number.clone(),
        customer_id: quote.customer_id.clone(),
        order_id,
        total: quote.totals.total,
        currency: quote.totals.currency,
        accepted_at: quote.updated_at,
        accepted_by: quote.updated_by.clone(),
        version,
    };
    Ok(Change::new(quote, event))
}

/// Decides that the customer does not want a quote; `version` is the one that the row has after the change.
///
/// # Errors
/// [`Refusal::QuoteClosed`], [`Refusal::QuoteExpired`].
pub fn reject(
    before: &Quote,
    reason: Option<Text<500>>,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Quote, Rejected>, Refusal> {
    before.must_be_open(now)?;
    let mut quote = before.changed(QuoteStatus::Rejected, by, now);
    quote.reason = reason;
    let event = Rejected {
        quote_id: quote.quote_id,
        quote_number: quote.quote_number.clone(),
        customer_id: quote.customer_id.clone(),
        reason: quote.reason.clone(),
        rejected_at: quote.updated_at,
        rejected_by: quote.updated_by.clone(),
        version,
    };
    Ok(Change::new(quote, event))
}

/// Writes down that the time of a quote is over; `version` is the one that the row has after the change. A quote that is not open, or
/// whose time is not over, stays as it is.
#[must_use]
pub fn expire(
    before: &Quote,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Change<Quote, Expired> {
    if before.status != QuoteStatus::Open || before.is_open(now) {
        return Change::none(before.clone());
    }
    let quote = before.changed(QuoteStatus::Expired, by, now);
    let event = Expired {
        quote_id: quote.quote_id,
        quote_number: quote.quote_number.clone(),
        customer_id: quote.customer_id.clone(),
        valid_until: quote.valid_until,
        expired_at: quote.updated_at,
        expired_by: quote.updated_by.clone(),
        version,
    };
    Change::new(quote, event)
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It was made.
        Created(events::contracts::quote::Created) by Mark,
        /// It must be priced again, or another one took its place.
        Updated(events::contracts::quote::Updated) by Mark,
        /// It became an order.
        Accepted(events::contracts::quote::Accepted) by Mark,
        /// The customer does not want it.
        Rejected(events::contracts::quote::Rejected) by Mark,
        /// Its time was over.
        Expired(events::contracts::quote::Expired) by Mark,
    }
}

/// The quote by its first event.
fn first(event: events::contracts::quote::Created) -> Step<Quote> {
    must(event.status == QuoteStatus::Open, "it does not begin")?;
    must(
        event.created_at < event.valid_until,
        "it was over before it was made",
    )?;
    let lines = event.items.iter().map(|item| item.line_total.decimal());
    must(
        lines.sum::<Decimal>() == event.totals.subtotal.decimal(),
        "its lines do not add up to the subtotal",
    )?;
    let total = event.totals.subtotal.decimal() + event.totals.tax_amount.decimal();
    must(
        total == event.totals.total.decimal(),
        "subtotal and tax are not the total",
    )?;
    let quote = Quote {
        quote_id: event.quote_id,
        quote_number: event.quote_number,
        customer_id: event.customer_id,
        cart_id: event.cart_id,
        status: event.status,
        needs_repricing: false,
        items: event.items,
        totals: event.totals,
        country: event.country,
        vat_treatment: event.vat_treatment,
        tier: event.tier,
        valid_until: event.valid_until,
        order_id: None,
        superseded_by: None,
        reason: None,
        created_at: event.created_at,
        updated_at: event.created_at,
        updated_by: event.created_by,
    };
    Ok((quote, event.version))
}

impl Rebuild for Quote {
    type Stored = Self;
    const RETENTION: Retention = Created::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let about =
            |quote_id: QuoteId| must(quote_id.to_string() == id, "it is about another quote");
        let (mut quote, recorded) = match (before, recorded) {
            (None, Recorded::Created(event)) => {
                about(event.quote_id)?;
                return first(event);
            }
            (None, _) => return Err(Contradiction::Says("the first event is not its creation")),
            (Some(_), Recorded::Created(_)) => {
                return Err(Contradiction::Says("it is created twice"));
            }
            (Some(quote), recorded) => (quote, recorded),
        };
        let from = quote.status;
        let (quote_id, at, by, version) = match recorded {
            Recorded::Created(event) => (
                event.quote_id,
                event.created_at,
                event.created_by,
                event.version,
            ),
            Recorded::Updated(event) => {
                match event.action {
                    Action::RepricingNeeded => {
                        must(from == QuoteStatus::Open, "it is not open")?;
                        must(event.status == from, "its status does not follow")?;
                        must(!quote.needs_repricing, "it needs repricing already")?;
                        must(event.needs_repricing, "it needs no repricing")?;
                    }
                    Action::Superseded => {
                        STATUS.check(from, event.status)?;
                        must(
                            event.status == QuoteStatus::Superseded,
                            "its status does not follow",
                        )?;
                        must(
                            event.superseded_by.is_some(),
                            "it does not name the quote that took its place",
                        )?;
                        must(
                            event.needs_repricing == quote.needs_repricing,
                            "whether it needs repricing does not follow",
                        )?;
                    }
                }
                quote.status = event.status;
                quote.needs_repricing = event.needs_repricing;
                quote.superseded_by = event.superseded_by;
                (
                    event.quote_id,
                    event.updated_at,
                    event.updated_by,
                    event.version,
                )
            }
            Recorded::Accepted(event) => {
                STATUS.check(from, QuoteStatus::Accepted)?;
                must(!quote.needs_repricing, "it needed repricing")?;
                must(
                    (event.total, event.currency) == (quote.totals.total, quote.totals.currency),
                    "its total is not the quote's",
                )?;
                quote.status = QuoteStatus::Accepted;
                quote.order_id = Some(event.order_id);
                (
                    event.quote_id,
                    event.accepted_at,
                    event.accepted_by,
                    event.version,
                )
            }
            Recorded::Rejected(event) => {
                STATUS.check(from, QuoteStatus::Rejected)?;
                quote.status = QuoteStatus::Rejected;
                quote.reason = event.reason;
                (
                    event.quote_id,
                    event.rejected_at,
                    event.rejected_by,
                    event.version,
                )
            }
            Recorded::Expired(event) => {
                STATUS.check(from, QuoteStatus::Expired)?;
                must(
                    event.valid_until == quote.valid_until && event.valid_until <= event.expired_at,
                    "its time was not over",
                )?;
                quote.status = QuoteStatus::Expired;
                (
                    event.quote_id,
                    event.expired_at,
                    event.expired_by,
                    event.version,
                )
            }
        };
        about(quote_id)?;
        must(quote.updated_at <= at, "it happened before the last change")?;
        quote.updated_at = at;
        quote.updated_by = by;
        Ok((quote, version))
    }
}

#[cfg(test)]
mod tests;
