//! Carts: filled, changed, and turned into orders.

use events::{
    CartId, CustomerId, ItemId, Money, OrderId, Sku, Text,
    contracts::{
        cart::{Action, CartStatus},
        order::{Item, Totals},
        price::{Currency, TaxCategory},
    },
};
use outbox::{Entity, Error, Transaction};

use super::{
    Commerce, LineAsked,
    orders::{PlaceOrder, Stopped, profile_of},
};
use crate::{
    Cart, Done, Order,
    calculation::{LARGEST_QUANTITY, MOST_LINES},
    cart::{self, Changed},
    order::{Numbers, Refusal},
};

/// A change of the lines of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartStep {
    /// So much more of a sku.
    Add {
        /// The sku.
        sku: Sku,
        /// How much more, 1 to [`LARGEST_QUANTITY`].
        quantity: u32,
        /// How it is taxed, if the cart has no line of it yet.
        tax_category: TaxCategory,
    },
    /// Another quantity of a line.
    Quantity {
        /// The line.
        item_id: ItemId,
        /// How much, 1 to [`LARGEST_QUANTITY`].
        quantity: u32,
    },
    /// A line goes.
    Remove {
        /// The line.
        item_id: ItemId,
    },
    /// All lines go.
    Clear,
}

impl Commerce<'_> {
    /// A cart; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn cart(&self, cart_id: CartId) -> Result<Entity<Cart>, Error> {
        self.load(&cart_id.to_string()).await
    }

    /// Makes a cart for a customer.
    ///
    /// # Errors
    /// [`Refusal::IdTaken`], [`Refusal::UnknownCustomer`]; [`Stopped::Failed`].
    pub async fn create_cart(
        &self,
        transaction: &mut Transaction,
        cart_id: CartId,
        (customer_id, currency): (CustomerId, Currency),
        by: Text<256>,
    ) -> Result<Done<Cart>, Stopped> {
        let (entity, customer) =
            futures::try_join!(self.cart(cart_id), self.customer(&customer_id))?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        profile_of(&customer, &customer_id)?;
        let new = (cart_id, customer_id, currency);
        Ok(cart::create(transaction, &entity, new, by)?)
    }

    /// Changes the lines of a cart, and calculates all of them anew. If that changes nothing, there is no event.
    ///
    /// # Errors
    /// [`Refusal::UnknownCart`], [`Refusal::CartOrdered`], [`Refusal::UnknownItem`], [`Refusal::TooManyLines`],
    /// [`Refusal::QuantityTooLarge`], [`Refusal::UnknownCustomer`], [`Refusal::Calculation`]; [`Stopped::Failed`].
    pub async fn step_cart(
        &self,
        transaction: &mut Transaction,
        cart_id: CartId,
        step: CartStep,
        by: Text<256>,
    ) -> Result<Done<Cart>, Stopped> {
        let entity = self.cart(cart_id).await?;
        let before = open(&entity, cart_id)?;
        let lines = before.items().iter();
        let mut lines: Vec<(ItemId, LineAsked)> =
            lines.map(|item| (item.item_id, asked(item))).collect();
        let place = |item_id: ItemId| {
            let place = before
                .items()
                .iter()
                .position(|item| item.item_id == item_id);
            place.ok_or(Refusal::UnknownItem { item_id })
        };
        let mut removed = None;
        let (action, changed) = match step {
            CartStep::Add {
                sku,
                quantity,
                tax_category,
            } => match lines.iter_mut().find(|(_, line)| line.sku == sku) {
                Some((item_id, line)) => {
                    line.quantity = line.quantity.saturating_add(quantity);
                    (Action::QuantityUpdated, Some(*item_id))
                }
                None => {
                    let item_id = transaction.uuid().into();
                    let line = LineAsked {
                        sku,
                        quantity,
                        tax_category,
                    };
                    lines.push((item_id, line));
                    (Action::ItemAdded, Some(item_id))
                }
            },
            CartStep::Quantity { item_id, quantity } => {
                lines[place(item_id)?].1.quantity = quantity;
                (Action::QuantityUpdated, Some(item_id))
            }
            CartStep::Remove { item_id } => {
                lines.remove(place(item_id)?);
                removed = before.item(item_id).cloned();
                (Action::ItemRemoved, None)
            }
            CartStep::Clear => {
                lines.clear();
                (Action::CartCleared, None)
            }
        };
        if lines.len() > MOST_LINES {
            return Err(Refusal::TooManyLines { most: MOST_LINES }.into());
        }
        let most = LARGEST_QUANTITY;
        if lines.iter().any(|(_, line)| line.quantity > most) {
            return Err(Refusal::QuantityTooLarge { most }.into());
        }
        let (items, totals) = self.priced(before, lines, transaction).await?;
        if items == before.items() && totals.as_ref() == before.totals() {
            let unchanged = Done::stored(&entity)?;
            return unchanged.ok_or_else(|| Refusal::UnknownCart { cart_id }.into());
        }
        let changed = items.iter().find(|item| Some(item.item_id) == changed);
        let changed = Changed {
            action,
            changed_item: changed.cloned().or(removed),
            items,
            totals,
            ordered: None,
            by,
        };
        Ok(cart::change(transaction, &entity, before, changed)?)
    }

    /// The lines of a cart at the prices of this moment, for its customer, and what they come to.
    async fn priced(
        &self,
        cart: &Cart,
        lines: Vec<(ItemId, LineAsked)>,
        transaction: &Transaction,
    ) -> Result<(Vec<Item>, Option<Totals>), Stopped> {
        if lines.is_empty() {
            return Ok((Vec::new(), None));
        }
        let (ids, lines): (Vec<ItemId>, Vec<LineAsked>) = lines.into_iter().unzip();
        let customer_id = cart.customer_id();
        let customer = self.customer(customer_id).await?;
        let profile = profile_of(&customer, customer_id)?;
        let (currency, now) = (cart.currency(), transaction.now());
        let calculated = self.calculate_for(profile, currency, lines, now).await?;
        let lines = calculated.lines.into_iter().zip(ids);
        let items = lines.map(|(line, item_id)| line.item(item_id)).collect();
        Ok((items, Some(calculated.totals)))
    }

    /// Turns a cart into an order, in one transaction: the order is placed at the prices of this moment, and the cart closed. The
    /// cart's event is caused by the order's.
    ///
    /// # Errors
    /// [`Refusal::UnknownCart`], [`Refusal::CartOrdered`], [`Refusal::CartEmpty`], what [`Self::place_order`] refuses;
    /// [`Stopped::Failed`].
    pub async fn check_out(
        &self,
        transaction: &mut Transaction,
        numbers: &Numbers,
        (cart_id, order_id): (CartId, OrderId),
        expected_total: Option<Money>,
        by: Text<256>,
    ) -> Result<Done<Order>, Stopped> {
        let entity = self.cart(cart_id).await?;
        let cart = open(&entity, cart_id)?;
        if cart.items().is_empty() {
            return Err(Refusal::CartEmpty { cart_id }.into());
        }
        let place = PlaceOrder {
            order_id,
            customer_id: cart.customer_id().clone(),
            currency: cart.currency(),
            lines: cart.items().iter().map(asked).collect(),
            expected_total,
            by: by.clone(),
        };
        let done = self.place_order(transaction, numbers, place).await?;
        let placed = transaction.events().first().cloned();
        let placed = placed.ok_or_else(|| Error::Refused("an order without event".to_owned()))?;
        let changed = Changed {
            action: Action::CartCleared,
            items: Vec::new(),
            totals: None,
            changed_item: None,
            ordered: Some((order_id, placed)),
            by,
        };
        cart::change(transaction, &entity, cart, changed)?;
        Ok(done)
    }
}

fn asked(item: &Item) -> LineAsked {
    LineAsked {
        sku: item.sku.clone(),
        quantity: item.quantity,
        tax_category: item.tax_category.unwrap_or_default(),
    }
}

fn open(entity: &Entity<Cart>, cart_id: CartId) -> Result<&Cart, Refusal> {
    let cart = entity.state().ok_or(Refusal::UnknownCart { cart_id })?;
    match (cart.status(), cart.order_id()) {
        (CartStatus::Open, _) => Ok(cart),
        (CartStatus::Ordered, order_id) => Err(Refusal::CartOrdered { order_id }),
    }
}
