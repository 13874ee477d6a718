//! Carts: filled, changed, kept up to date, and turned into orders.

use std::collections::BTreeSet;

use events::{
    CartId, Cause, CustomerId, ItemId, Money, OrderId, Sku, Text,
    contracts::{
        cart::{Action, CartStatus},
        order::{Goods, Item},
        price::Currency,
    },
};
use outbox::{Condition, Entity, Error, Key, Transaction};

use super::{
    Commerce,
    goods::{Known, unchanged},
    orders::{PlaceOrder, Stopped, profile_of},
};
use crate::{
    Cart, Done, Order,
    calculation::{LARGEST_QUANTITY, MOST_LINES},
    cart::{self, Changed, Lines},
    order::{Numbers, Refusal},
};

/// What a change of a cart writes or checks beside two checks for each line, of its price and its product: the checks of the customer and
/// of its tier, the cart with its event, the rows by which it is found from a sku, from the tier before and from the tier now, and the
/// mark.
const OF_CHANGED_CART: usize = 8;

const _: () = assert!(2 * MOST_LINES + OF_CHANGED_CART <= outbox::MAX_TRANSACTION_ITEMS);

/// A change of the lines of a cart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CartStep {
    /// So much more of a sku.
    Add {
        /// The sku.
        sku: Sku,
        /// How much more, 1 to [`LARGEST_QUANTITY`].
        quantity: u32,
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

/// A line that a cart is to have.
struct Wanted {
    item_id: ItemId,
    goods: Goods,
}

impl From<&Item> for Wanted {
    fn from(item: &Item) -> Self {
        Self {
            item_id: item.item_id,
            goods: goods_of(item),
        }
    }
}

/// The lines of a cart at the prices of a moment.
struct Priced {
    lines: Lines,
    /// What is known of each line's goods, in the order of the lines.
    goods: Vec<Known>,
    /// The customer, unchanged; `None` if there are no lines.
    customer: Option<(Key, Condition)>,
    /// The customer's tier, unchanged; `None` if it has none.
    tier: Option<(Key, Condition)>,
}

impl Priced {
    /// Makes the commit depend on what the lines are made of that come out otherwise than before: their prices and products, and the
    /// customer with its tier. A change of one of these after it was read could else be missed: whoever looks for the carts that it
    /// concerns does not find a new line yet, and writes no cart that comes out the same without this change. Price lists need no more:
    /// a change of one rewrites one of these rows before anybody looks for the carts. Of the stock only a flag follows, which checking
    /// out reads anew, so that orders of the same goods do not stop each other here.
    fn hold(self, transaction: &mut Transaction, before: &Cart) -> Lines {
        let mut rows: Vec<(Key, Condition)> = Vec::new();
        for (item, known) in self.lines.items.iter().zip(self.goods) {
            let stays = before.item(item.item_id).is_some_and(|old| {
                let available = item.available;
                let old = Item {
                    available,
                    ..old.clone()
                };
                old == *item
            });
            if !stays {
                rows.push(known.price);
                rows.extend(known.product);
            }
        }
        rows.extend(self.customer);
        rows.extend(self.tier);
        let mut held = BTreeSet::new();
        for (key, unchanged) in rows {
            if held.insert(key.to_string()) {
                transaction.check(key, unchanged);
            }
        }
        self.lines
    }
}

/// An open cart that was calculated anew, and came out otherwise.
pub(super) struct Fresh<'c> {
    entity: &'c Entity<Cart>,
    before: &'c Cart,
    priced: Priced,
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
        Ok(cart::create(transaction, (self.table, &entity), new, by)?)
    }

    /// Changes the lines of a cart, and calculates all of them anew. If that changes nothing, there is no event.
    ///
    /// # Errors
    /// [`Refusal::UnknownCart`], [`Refusal::CartOrdered`], [`Refusal::UnknownItem`], [`Refusal::TooManyLines`],
    /// [`Refusal::QuantityTooLarge`], [`Refusal::UnknownCustomer`], [`Refusal::Calculation`], [`Refusal::NotForSale`];
    /// [`Stopped::Failed`].
    pub async fn step_cart(
        &self,
        transaction: &mut Transaction,
        cart_id: CartId,
        step: CartStep,
        by: Text<256>,
    ) -> Result<Done<Cart>, Stopped> {
        let entity = self.cart(cart_id).await?;
        let before = open(&entity, cart_id)?;
        let mut wanted: Vec<Wanted> = before.items().iter().map(Wanted::from).collect();
        let place = |item_id: ItemId| {
            let mut items = before.items().iter();
            let place = items.position(|item| item.item_id == item_id);
            place.ok_or(Refusal::UnknownItem { item_id })
        };
        let mut removed = None;
        let (action, changed) = match step {
            CartStep::Add { sku, quantity } => {
                match wanted.iter_mut().find(|line| line.goods.sku == sku) {
                    Some(line) => {
                        line.goods.quantity = line.goods.quantity.saturating_add(quantity);
                        (Action::QuantityUpdated, Some(line.item_id))
                    }
                    None => {
                        let item_id = transaction.uuid().into();
                        let goods = Goods { sku, quantity };
                        wanted.push(Wanted { item_id, goods });
                        (Action::ItemAdded, Some(item_id))
                    }
                }
            }
            CartStep::Quantity { item_id, quantity } => {
                wanted[place(item_id)?].goods.quantity = quantity;
                (Action::QuantityUpdated, Some(item_id))
            }
            CartStep::Remove { item_id } => {
                wanted.remove(place(item_id)?);
                removed = before.item(item_id).cloned();
                (Action::ItemRemoved, None)
            }
            CartStep::Clear => {
                wanted.clear();
                (Action::CartCleared, None)
            }
        };
        if wanted.len() > MOST_LINES {
            return Err(Refusal::TooManyLines { most: MOST_LINES }.into());
        }
        let most = LARGEST_QUANTITY;
        if wanted.iter().any(|line| line.goods.quantity > most) {
            return Err(Refusal::QuantityTooLarge { most }.into());
        }
        let priced = self.priced(transaction, before, wanted).await?;
        let items = &priced.lines.items;
        let changed = items.iter().position(|item| Some(item.item_id) == changed);
        if let Some(place) = changed
            && !priced.goods[place].is_for_sale
        {
            let lines = vec![(place, items[place].sku.clone())];
            return Err(Refusal::NotForSale { lines }.into());
        }
        if priced.lines == before.lines() {
            let unchanged = Done::stored(&entity)?;
            return unchanged.ok_or_else(|| Refusal::UnknownCart { cart_id }.into());
        }
        let changed_item = changed.map(|place| items[place].clone()).or(removed);
        let changed = Changed {
            action,
            changed_item,
            lines: priced.hold(transaction, before),
            order_id: None,
            cause: None,
            by,
        };
        Ok(cart::change(
            transaction,
            (self.table, &entity),
            before,
            changed,
        )?)
    }

    /// Calculates the lines of a cart anew, because of a change of what they follow from. Writes nothing yet; `None` if it changes
    /// nothing. A cart that became an order stays as it is.
    ///
    /// # Errors
    /// [`Refusal::UnknownCustomer`], [`Refusal::Calculation`]; [`Stopped::Failed`].
    pub(super) async fn refreshed<'c>(
        &self,
        transaction: &Transaction,
        entity: &'c Entity<Cart>,
    ) -> Result<Option<Fresh<'c>>, Stopped> {
        let is_open = |cart: &&Cart| cart.status() == CartStatus::Open;
        let Some(before) = entity.state().filter(is_open) else {
            return Ok(None);
        };
        let wanted = before.items().iter().map(Wanted::from).collect();
        let priced = self.priced(transaction, before, wanted).await?;
        if priced.lines == before.lines() {
            return Ok(None);
        }
        Ok(Some(Fresh {
            entity,
            before,
            priced,
        }))
    }

    /// Saves a cart that was calculated anew.
    ///
    /// # Errors
    /// [`Error`] if the transaction cannot be built.
    pub(super) fn save_refreshed(
        &self,
        transaction: &mut Transaction,
        fresh: Fresh<'_>,
        (cause, by): (&Cause, Text<256>),
    ) -> Result<(), Error> {
        let Fresh {
            entity,
            before,
            priced,
        } = fresh;
        let pairs = before.items().iter().zip(&priced.lines.items);
        let changed: Vec<(&Item, &Item)> = pairs.filter(|(old, new)| old != new).collect();
        let priced_otherwise = |old: &Item, new: &Item| {
            let (name, available) = (new.name.clone(), new.available);
            let old = Item {
                name,
                available,
                ..old.clone()
            };
            old != *new
        };
        let action = if changed.iter().any(|(old, new)| priced_otherwise(old, new)) {
            Action::PriceUpdated
        } else if changed
            .iter()
            .any(|(old, new)| old.available != new.available)
        {
            Action::AvailabilityChanged
        } else {
            Action::ItemDetailsUpdated
        };
        let changed_item = changed.first().map(|(_, item)| (*item).clone());
        let changed = Changed {
            action,
            changed_item,
            lines: priced.lines,
            order_id: None,
            cause: Some(cause.clone()),
            by,
        };
        cart::change(transaction, (self.table, entity), before, changed)?;
        Ok(())
    }

    /// The lines of a cart at the prices of this moment, for its customer, and what they come to.
    async fn priced(
        &self,
        transaction: &Transaction,
        cart: &Cart,
        wanted: Vec<Wanted>,
    ) -> Result<Priced, Stopped> {
        if wanted.is_empty() {
            return Ok(Priced {
                lines: Lines::default(),
                goods: Vec::new(),
                customer: None,
                tier: None,
            });
        }
        let (ids, goods): (Vec<ItemId>, Vec<Goods>) = wanted
            .into_iter()
            .map(|line| (line.item_id, line.goods))
            .unzip();
        let customer_id = cart.customer_id();
        let customer = self.customer(customer_id).await?;
        let profile = profile_of(&customer, customer_id)?;
        let priced = self
            .price_lines(
                (customer_id, profile),
                cart.currency(),
                &goods,
                transaction.now(),
            )
            .await?;
        let found = priced.found;
        let lines = priced.calculated.lines.into_iter().zip(&found.goods);
        let items = lines.zip(ids).map(|((line, known), item_id)| Item {
            available: Some(known.is_for_sale && known.is_in_stock),
            ..line.item(item_id, known.name.clone())
        });
        Ok(Priced {
            lines: Lines {
                items: items.collect(),
                totals: Some(priced.calculated.totals),
                tier: profile.tier.clone(),
            },
            goods: found.goods,
            tier: priced.tier,
            customer: Some(unchanged(&customer)),
        })
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
            lines: cart.items().iter().map(goods_of).collect(),
            expected_total,
            by: by.clone(),
        };
        let done = self.place_order(transaction, numbers, place).await?;
        self.close_cart(transaction, (&entity, cart), order_id, by)?;
        Ok(done)
    }

    /// Closes an open cart because of the order that the transaction places. The cart's event is caused by the order's.
    ///
    /// # Errors
    /// [`Error`] if the transaction places no order, or cannot be built.
    pub(super) fn close_cart(
        &self,
        transaction: &mut Transaction,
        (entity, cart): (&Entity<Cart>, &Cart),
        order_id: OrderId,
        by: Text<256>,
    ) -> Result<(), Error> {
        let changed = Changed {
            action: Action::CartCleared,
            lines: Lines::default(),
            changed_item: None,
            order_id: Some(order_id),
            cause: Some(cause_of_order(transaction)?),
            by,
        };
        cart::change(transaction, (self.table, entity), cart, changed)?;
        Ok(())
    }
}

/// What follows from the order that the transaction places is caused by this: the transaction's first event.
pub(super) fn cause_of_order(transaction: &Transaction) -> Result<Cause, Error> {
    let placed = transaction.events().first();
    let placed = placed.ok_or_else(|| Error::Refused("an order without event".to_owned()))?;
    Ok(Cause::event(placed))
}

pub(super) fn goods_of(item: &Item) -> Goods {
    Goods {
        sku: item.sku.clone(),
        quantity: item.quantity,
    }
}

pub(super) fn open(entity: &Entity<Cart>, cart_id: CartId) -> Result<&Cart, Refusal> {
    let cart = entity.state().ok_or(Refusal::UnknownCart { cart_id })?;
    match (cart.status(), cart.order_id()) {
        (CartStatus::Open, _) => Ok(cart),
        (CartStatus::Ordered, order_id) => Err(Refusal::CartOrdered { order_id }),
    }
}
