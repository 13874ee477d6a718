//! A cart: what a customer is about to order, with its prices.
//!
//! Every change calculates all its lines anew, by the prices, tax rates and the customer's tier of that moment. A cart reserves
//! nothing. It becomes an order in one transaction with it, and then changes no more.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    CartId, Contract as _, CustomerId, Draft, Envelope, ItemId, OrderId, Retention, Sku, Text,
    Timestamp,
    contracts::{
        cart::{Action, CartStatus, Created, Updated},
        order::{Item, Totals},
        price::Currency,
    },
    subscription,
};
use outbox::{Entity, Error, State, Transaction};
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
    entity: &Entity<Cart>,
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
        order_id: None,
        created_at: now,
        updated_at: now,
        updated_by: by,
    };
    Change::new(cart, created).save(transaction, entity)
}

/// A change of a cart, after everything was looked up and calculated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Changed {
    /// What happened.
    pub(crate) action: Action,
    /// All lines from now on.
    pub(crate) items: Vec<Item>,
    /// What they come to; `None` if there are none.
    pub(crate) totals: Option<Totals>,
    /// The line that changed.
    pub(crate) changed_item: Option<Item>,
    /// The order that the cart became, with the event that tells of it.
    pub(crate) ordered: Option<(OrderId, Envelope)>,
    /// Who changes it.
    pub(crate) by: Text<256>,
}

/// Changes a cart, in a transaction.
pub(crate) fn change(
    transaction: &mut Transaction,
    entity: &Entity<Cart>,
    before: &Cart,
    changed: Changed,
) -> Result<Done<Cart>, Error> {
    let (now, version) = (transaction.now(), entity.next_version()?);
    let mut cart = before.clone();
    cart.items = changed.items;
    cart.totals = changed.totals;
    cart.updated_at = before.updated_at.max(now);
    cart.updated_by = changed.by;
    cart.order_id = changed.ordered.as_ref().map(|(order_id, _)| *order_id);
    if cart.order_id.is_some() {
        cart.status = CartStatus::Ordered;
    }
    let updated = Updated {
        cart_id: cart.cart_id,
        action: changed.action,
        updated_at: cart.updated_at,
        user_id: Some(cart.updated_by.clone()),
        customer_id: Some(cart.customer_id.clone()),
        items: cart.items.clone(),
        changed_item: changed.changed_item,
        totals: cart.totals.clone(),
        order_id: cart.order_id,
        version: Some(version),
    };
    let mut draft = change::numbered(Draft::of(&updated)?, version)?;
    if let Some((_, placed)) = &changed.ordered {
        draft = draft.caused_by(placed);
    }
    transaction.update(entity, &cart, vec![draft])?;
    Ok(Done {
        state: cart,
        version,
    })
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
