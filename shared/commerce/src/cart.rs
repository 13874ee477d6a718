//! A cart: what a customer is about to order, with its prices.
//!
//! Every change calculates all its lines anew, by the prices, products, tax rates and the customer's tier of that moment. A cart
//! reserves nothing. It becomes an order in one transaction with it, and then changes no more.
//!
//! What a cart's lines follow from, it watches ([`Subject`]): a row for each, written and removed in the transaction of the change
//! that makes it so. By these rows a change of a price, a product, a stock, a tier or a customer finds the carts that it concerns.

mod refresh;
mod subject;

pub use refresh::{Followers, ListUnderWay, Refresh};
pub use subject::{Subject, Watch};

use std::collections::BTreeSet;

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    CartId, Cause, Contract as _, CustomerId, Draft, Envelope, ItemId, OrderId, Retention, Sku,
    Text, TierName, Timestamp,
    contracts::{
        cart::{Action, CartStatus, Created, PriceChange, Updated},
        order::{Item, Totals},
        price::Currency,
    },
    subscription,
};
use outbox::{Condition, Entity, Error, State, Table, Transaction};
use serde::{Deserialize, Serialize};

use crate::{Change, Done, change};

/// A cart. Its fields change in this module alone, which also makes the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cart {
    cart_id: CartId,
    customer_id: CustomerId,
    currency: Currency,
    status: CartStatus,
    items: Vec<Item>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    totals: Option<Totals>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tier: Option<TierName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    order_id: Option<OrderId>,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Cart {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

impl Cart {
    /// Its id.
    #[must_use]
    pub fn cart_id(&self) -> CartId {
        self.cart_id
    }

    /// The customer.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// The currency of its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Whether it can still change.
    #[must_use]
    pub fn status(&self) -> CartStatus {
        self.status
    }

    /// Its lines.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What the lines come to; `None` if there are none.
    #[must_use]
    pub fn totals(&self) -> Option<&Totals> {
        self.totals.as_ref()
    }

    /// The tier of the customer by which its prices were calculated.
    #[must_use]
    pub fn tier(&self) -> Option<&TierName> {
        self.tier.as_ref()
    }

    /// What its lines follow from, beside the tax rates, which count when it changes next. A cart that became an order follows from
    /// nothing.
    #[must_use]
    pub fn subjects(&self) -> BTreeSet<Subject> {
        if self.status != CartStatus::Open {
            return BTreeSet::new();
        }
        let skus = self.items.iter().map(|item| Subject::Sku(item.sku.clone()));
        let tier = self.tier.clone().map(Subject::Tier);
        let customer = Subject::Customer(self.customer_id.clone());
        skus.chain(tier).chain([customer]).collect()
    }

    /// The order that it became.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        self.order_id
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

    /// The line with this id.
    #[must_use]
    pub fn item(&self, item_id: ItemId) -> Option<&Item> {
        self.items.iter().find(|item| item.item_id == item_id)
    }

    /// The line of this sku.
    #[must_use]
    pub fn item_of(&self, sku: &Sku) -> Option<&Item> {
        self.items.iter().find(|item| item.sku == *sku)
    }
}

/// Makes a cart, in a transaction.
pub(crate) fn create(
    transaction: &mut Transaction,
    (table, entity): (&Table, &Entity<Cart>),
    (cart_id, customer_id, currency): (CartId, CustomerId, Currency),
    by: Text<256>,
) -> Result<Done<Cart>, Error> {
    let (now, version) = (transaction.now(), entity.next_version()?);
    let created = Created {
        cart_id,
        customer_id: customer_id.clone(),
        currency,
        created_at: now,
        created_by: by.clone(),
        version,
    };
    let cart = Cart {
        cart_id,
        customer_id,
        currency,
        status: CartStatus::Open,
        items: Vec::new(),
        totals: None,
        tier: None,
        order_id: None,
        created_at: now,
        updated_at: now,
        updated_by: by,
    };
    watch(transaction, table, None, &cart)?;
    Change::new(cart, created).save(transaction, entity)
}

/// Writes and removes the rows by which a cart is found from what its lines follow from.
fn watch(
    transaction: &mut Transaction,
    table: &Table,
    before: Option<&Cart>,
    after: &Cart,
) -> Result<(), Error> {
    let watched = before.map(Cart::subjects).unwrap_or_default();
    let (wanted, cart_id) = (after.subjects(), after.cart_id);
    for subject in watched.difference(&wanted) {
        transaction.delete(subject.key(table, cart_id), Condition::Present);
    }
    for subject in wanted.difference(&watched) {
        transaction.insert(subject.key(table, cart_id), &Watch { cart_id })?;
    }
    Ok(())
}

/// A change of a cart, after everything was looked up and calculated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// What happened.
    pub(crate) action: Action,
    /// The lines from now on.
    pub(crate) lines: Lines,
    /// The line that changed.
    pub(crate) changed_item: Option<Item>,
    /// The order that the cart became.
    pub(crate) order_id: Option<OrderId>,
    /// What caused it, if that is not what the transaction is about.
    pub(crate) cause: Option<Cause>,
    /// Who changes it.
    pub(crate) by: Text<256>,
}

/// The lines of a cart, and what goes with them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Lines {
    /// All of them.
    pub(crate) items: Vec<Item>,
    /// What they come to; `None` if there are none.
    pub(crate) totals: Option<Totals>,
    /// The tier by which their prices were calculated; `None` if there are none.
    pub(crate) tier: Option<TierName>,
}

impl Cart {
    /// Its lines, with what goes with them.
    pub(crate) fn lines(&self) -> Lines {
        Lines {
            items: self.items.clone(),
            totals: self.totals.clone(),
            tier: self.tier.clone(),
        }
    }
}

/// Changes a cart, in a transaction.
pub(crate) fn change(
    transaction: &mut Transaction,
    (table, entity): (&Table, &Entity<Cart>),
    before: &Cart,
    changed: Changed,
) -> Result<Done<Cart>, Error> {
    let (now, version) = (transaction.now(), entity.next_version()?);
    let Lines {
        items,
        totals,
        tier,
    } = changed.lines;
    let price_changes = price_changes(&before.items, &items);
    let status = match changed.order_id {
        None => CartStatus::Open,
        Some(_) => CartStatus::Ordered,
    };
    let cart = Cart {
        status,
        items,
        totals,
        tier,
        order_id: changed.order_id,
        updated_at: before.updated_at.max(now),
        updated_by: changed.by,
        ..before.clone()
    };
    watch(transaction, table, Some(before), &cart)?;
    let updated = Updated {
        cart_id: cart.cart_id,
        action: changed.action,
        updated_at: cart.updated_at,
        user_id: Some(cart.updated_by.clone()),
        customer_id: Some(cart.customer_id.clone()),
        items: cart.items.clone(),
        changed_item: changed.changed_item,
        price_changes,
        totals: cart.totals.clone(),
        tier: cart.tier.clone(),
        order_id: cart.order_id,
        version: Some(version),
    };
    let mut draft = change::numbered(Draft::of(&updated)?, version)?;
    if let Some(cause) = &changed.cause {
        draft = draft.caused_by(cause);
    }
    transaction.update(entity, &cart, vec![draft])?;
    Ok(Done {
        state: cart,
        version,
    })
}

/// The lines that were there before at another price of a unit.
fn price_changes(before: &[Item], after: &[Item]) -> Vec<PriceChange> {
    let changed = after.iter().filter_map(|item| {
        let known = before.iter().find(|known| known.item_id == item.item_id)?;
        (known.unit_price != item.unit_price).then(|| PriceChange {
            item_id: item.item_id,
            sku: item.sku.clone(),
            previous_price: known.unit_price,
            new_price: item.unit_price,
        })
    });
    changed.collect()
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It was made.
        Created(events::contracts::cart::Created) by Mark,
        /// It changed.
        Updated(events::contracts::cart::Updated) by Mark,
    }
}

impl Rebuild for Cart {
    type Stored = Self;
    const RETENTION: Retention = Created::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let about = |cart_id: CartId| must(cart_id.to_string() == id, "it is about another cart");
        let missing = || Contradiction::Says("it does not state all of the cart");
        match (before, recorded) {
            (None, Recorded::Created(event)) => {
                about(event.cart_id)?;
                let cart = Self {
                    cart_id: event.cart_id,
                    customer_id: event.customer_id,
                    currency: event.currency,
                    status: CartStatus::Open,
                    items: Vec::new(),
                    totals: None,
                    tier: None,
                    order_id: None,
                    created_at: event.created_at,
                    updated_at: event.created_at,
                    updated_by: event.created_by,
                };
                Ok((cart, event.version))
            }
            (Some(before), Recorded::Updated(event)) => {
                about(event.cart_id)?;
                must(
                    before.status == CartStatus::Open,
                    "it changed after it became an order",
                )?;
                must(
                    before.updated_at <= event.updated_at,
                    "it happened before the last change",
                )?;
                let customer = event.customer_id.ok_or_else(missing)?;
                must(customer == before.customer_id, "it states another customer")?;
                must(
                    event.items.is_empty() == event.totals.is_none(),
                    "it must state totals if, and only if, there are lines",
                )?;
                if let Some(totals) = &event.totals {
                    let lines = event.items.iter().map(|item| item.line_total.decimal());
                    must(
                        lines.sum::<rust_decimal::Decimal>() == totals.subtotal.decimal(),
                        "its lines do not add up to the subtotal",
                    )?;
                    must(
                        totals.currency == before.currency,
                        "it is in another currency",
                    )?;
                }
                must(
                    event.price_changes == price_changes(&before.items, &event.items),
                    "it states other changes of prices than there are",
                )?;
                let cleared = event.action == Action::CartCleared;
                must(
                    cleared == event.items.is_empty() || event.action == Action::ItemRemoved,
                    "it is cleared if, and only if, no line is left",
                )?;
                let status = if event.order_id.is_some() {
                    CartStatus::Ordered
                } else {
                    CartStatus::Open
                };
                let cart = Self {
                    status,
                    items: event.items,
                    totals: event.totals,
                    tier: event.tier,
                    order_id: event.order_id,
                    updated_at: event.updated_at,
                    updated_by: event.user_id.ok_or_else(missing)?,
                    ..before
                };
                Ok((cart, event.version.ok_or_else(missing)?))
            }
            (None, Recorded::Updated(_)) => {
                Err(Contradiction::Says("the first event is not its creation"))
            }
            (Some(_), Recorded::Created(_)) => Err(Contradiction::Says("it is created twice")),
        }
    }
}
