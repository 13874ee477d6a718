//! Orders: placed by a customer, moved by their consumer and by the people who ship them.

use std::time::Duration;

use events::{
    CountryCode, CustomerId, Money, OrderId, QuoteId, Text, Timestamp,
    contracts::{
        credit::{CreditStatus, ReservationChanged as CreditChanged},
        customer::{CustomerType, VatTreatment},
        order::{Goods, Item, OrderStatus, Rejection, Totals},
        payment::{self, ReferenceType, StatusChanged as PaymentChanged},
        price::Currency,
        stock::{ReservationChanged as StockChanged, ReservationStatus},
    },
};
use outbox::{Condition, Cursor, Entity, Error, Query, Transaction};
use serde::de::DeserializeOwned;

use super::{
    Commerce, carts::goods_of, customers::Listed, goods::Found, reservations::short, system,
};
use crate::{
    CreditAccount, Customer, Done, Order,
    customer::Profile,
    order::{self, Due, Numbers, OrderStep, Overdue, Patience, Placed, Refusal, due::FIRST_LOOK},
};

/// Why an operation on orders wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The command to place an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOrder {
    /// The order's id, which no other order has.
    pub order_id: OrderId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency.
    pub currency: Currency,
    /// The lines, 1 to [`crate::calculation::MOST_LINES`].
    pub lines: Vec<Goods>,
    /// What the caller expects it to come to; `None`: whatever it does.
    pub expected_total: Option<Money>,
    /// Who places it.
    pub by: Text<256>,
}

/// A new order, before it is known whether its goods can be sold.
pub(super) struct NewOrder {
    pub(super) order_id: OrderId,
    pub(super) customer_id: CustomerId,
    /// The country whose tax rates apply.
    pub(super) country: CountryCode,
    /// How it is taxed.
    pub(super) vat_treatment: VatTreatment,
    /// Its lines.
    pub(super) items: Vec<Item>,
    /// What it comes to.
    pub(super) totals: Totals,
    /// The quote that it is placed at the prices of.
    pub(super) quote_id: Option<QuoteId>,
    /// What the caller expects it to come to; `None`: whatever it does.
    pub(super) expected_total: Option<Money>,
    /// Who places it.
    pub(super) by: Text<256>,
}

impl Commerce<'_> {
    /// An order; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn order(&self, order_id: OrderId) -> Result<Entity<Order>, Error> {
        self.load(&order_id.to_string()).await
    }

    /// The query for the orders of a customer, newest first. [`Self::orders`] reads it.
    #[must_use]
    pub fn orders_of(&self, customer_id: &CustomerId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(self.table, list_of(customer_id), limit)
        }
    }

    /// A page of [`Self::orders_of`], at most 100, and where the next page begins. With a status, orders in another one are left
    /// out after they were read, so a page can have fewer orders than its limit, or none, and there can be a next page
    /// nevertheless.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn orders(
        &self,
        query: &Query,
        status: Option<OrderStatus>,
    ) -> Result<(Vec<Done<Order>>, Option<Cursor>), Error> {
        let (mut orders, next) = self.listed::<Order>(query).await?;
        orders.retain(|order| status.is_none_or(|status| order.state.status() == status));
        Ok((orders, next))
    }

    /// Places an order and lists it among its customer's. Stock and account are looked at, so that what cannot succeed is refused
    /// at once; nothing is reserved yet.
    ///
    /// # Errors
    /// [`Refusal::IdTaken`], [`Refusal::UnknownCustomer`], [`Refusal::SameSku`], [`Refusal::Calculation`], [`Refusal::NotForSale`],
    /// [`Refusal::TotalChanged`],
    /// [`Refusal::InsufficientStock`], [`Refusal::NoCreditAccount`]; [`Stopped::Failed`].
    pub async fn place_order(
        &self,
        transaction: &mut Transaction,
        numbers: &Numbers,
        place: PlaceOrder,
    ) -> Result<Done<Order>, Stopped> {
        for (line, asked) in place.lines.iter().enumerate() {
            let sku = &asked.sku;
            if place.lines[..line].iter().any(|before| before.sku == *sku) {
                let sku = sku.clone();
                return Err(Refusal::SameSku { line, sku }.into());
            }
        }
        let (customer_id, currency) = (&place.customer_id, place.currency);
        let (entity, customer) = self
            .for_order(place.order_id, customer_id, currency)
            .await?;
        let profile = profile_of(&customer, customer_id)?;
        let now = transaction.now();
        let priced = self
            .price_lines((customer_id, profile), currency, &place.lines, now)
            .await?;
        let calculated = priced.calculated;
        let lines = calculated.lines.into_iter().zip(&priced.found.goods);
        let items =
            lines.map(|(line, known)| line.item(transaction.uuid().into(), known.name.clone()));
        let new = NewOrder {
            order_id: place.order_id,
            customer_id: place.customer_id.clone(),
            country: profile.country.clone(),
            vat_treatment: profile.vat_treatment,
            items: items.collect(),
            totals: calculated.totals,
            quote_id: None,
            expected_total: place.expected_total,
            by: place.by,
        };
        let of = (profile, &priced.found);
        self.save_order(transaction, numbers, &entity, of, new)
            .await
    }

    /// Reads what a new order needs: its own entity, which is empty, and the customer.
    ///
    /// # Errors
    /// [`Refusal::IdTaken`], [`Refusal::UnknownCustomer`], [`Refusal::NoCreditAccount`]; [`Stopped::Failed`].
    pub(super) async fn for_order(
        &self,
        order_id: OrderId,
        customer_id: &CustomerId,
        currency: Currency,
    ) -> Result<(Entity<Order>, Entity<Customer>), Stopped> {
        let (entity, customer, account) = futures::try_join!(
            self.order(order_id),
            self.customer(customer_id),
            self.credit_account(customer_id)
        )?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let profile = profile_of(&customer, customer_id)?;
        let has_account = account.state().map(CreditAccount::currency) == Some(currency);
        if profile.customer_type == CustomerType::B2b && !has_account {
            let customer_id = customer_id.clone();
            return Err(Refusal::NoCreditAccount {
                customer_id,
                currency,
            }
            .into());
        }
        Ok((entity, customer))
    }

    /// Saves a new order at the prices that it names, if its goods can be sold, and lists it among its customer's.
    ///
    /// # Errors
    /// [`Refusal::NotForSale`], [`Refusal::TotalChanged`], [`Refusal::InsufficientStock`]; [`Stopped::Failed`].
    pub(super) async fn save_order(
        &self,
        transaction: &mut Transaction,
        numbers: &Numbers,
        entity: &Entity<Order>,
        (profile, found): (&Profile, &Found),
        new: NewOrder,
    ) -> Result<Done<Order>, Stopped> {
        let goods: Vec<Goods> = new.items.iter().map(goods_of).collect();
        let lines = found.not_for_sale(&goods);
        if !lines.is_empty() {
            return Err(Refusal::NotForSale { lines }.into());
        }
        let (total, currency) = (new.totals.total, new.totals.currency);
        if let Some(expected) = new.expected_total
            && expected != total
        {
            return Err(Refusal::TotalChanged {
                expected,
                total,
                currency,
            }
            .into());
        }
        let shortages: Vec<_> = short(&goods, &found.stocks).collect();
        if !shortages.is_empty() {
            return Err(Refusal::InsufficientStock { shortages }.into());
        }
        let now = transaction.now();
        let placed = Placed {
            order_id: new.order_id,
            order_number: numbers.next(self.outbox, self.table).await?,
            customer_id: new.customer_id,
            customer_type: profile.customer_type,
            payment_term: profile.payment_term,
            country: new.country,
            vat_treatment: new.vat_treatment,
            items: new.items,
            totals: new.totals,
            quote_id: new.quote_id,
            by: new.by,
        };
        let due = Due {
            order_id: placed.order_id,
            look_at: now.plus(FIRST_LOOK),
            named: false,
        };
        transaction.insert(due.key(self.table), &due)?;
        let id = placed.order_id.to_string();
        let list = list_of(&placed.customer_id);
        let listed = self.table.key(list, format!("{now}#{id}"));
        transaction.insert(listed, &Listed { id })?;
        let change = order::place(placed, entity.next_version()?, now);
        Ok(change.save(transaction, entity)?)
    }

    /// Does a step of an order.
    ///
    /// # Errors
    /// [`Refusal::UnknownOrder`], what [`order::change`] refuses; [`Stopped::Failed`].
    pub async fn step_order(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
        step: OrderStep,
    ) -> Result<Done<Order>, Stopped> {
        let entity = self.order(order_id).await?;
        step_of(transaction, &entity, order_id, step)
    }

    /// Moves an order as its credit has changed: reserved, refused or paid. A change that comes too late for the order, because
    /// it was cancelled, changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownOrder`], [`Refusal::TooLarge`]; [`Stopped::Failed`].
    pub async fn credit_moved(
        &self,
        transaction: &mut Transaction,
        event: &CreditChanged,
    ) -> Result<(), Stopped> {
        let step = match (&event.payment, event.status) {
            (Some(payment), _) => OrderStep::Pay {
                reference: payment.external_reference.clone().into(),
                on_account: true,
                amount: payment.amount,
            },
            (None, CreditStatus::Reserved) => OrderStep::AskForStock,
            (None, CreditStatus::Rejected) => OrderStep::Reject {
                // The contract says why with every rejection.
                reason: event
                    .reason
                    .map_or(Rejection::InsufficientCredit, Rejection::from),
                shortages: Vec::new(),
            },
            // These follow from what the order told itself.
            (
                None,
                CreditStatus::Withdrawn
                | CreditStatus::Restored
                | CreditStatus::Owed
                | CreditStatus::Settled,
            ) => return Ok(()),
        };
        let entity = self.order(event.order_id).await?;
        let is_payment = matches!(step, OrderStep::Pay { .. });
        if !is_payment && entity.state().is_some_and(|order| !order.awaits_credit()) {
            return Ok(());
        }
        step_of(transaction, &entity, event.order_id, step).map(drop)
    }

    /// Moves an order as its goods were reserved or not. A change that comes too late for the order, because it was cancelled,
    /// changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownOrder`]; [`Stopped::Failed`].
    pub async fn stock_moved(
        &self,
        transaction: &mut Transaction,
        event: &StockChanged,
    ) -> Result<(), Stopped> {
        let step = match event.status {
            ReservationStatus::Reserved => OrderStep::Confirm,
            ReservationStatus::Failed => OrderStep::Reject {
                reason: Rejection::OutOfStock,
                shortages: event.shortages.clone(),
            },
            // These follow from what the order told itself.
            ReservationStatus::Withdrawn
            | ReservationStatus::Released
            | ReservationStatus::Shipped => return Ok(()),
        };
        let entity = self.order(event.order_id).await?;
        if entity.state().is_some_and(|order| !order.awaits_stock()) {
            return Ok(());
        }
        step_of(transaction, &entity, event.order_id, step).map(drop)
    }
}

impl Commerce<'_> {
    /// Looks at the orders whose time has come, at most `most` of them: names those that are stuck, cancels those that took too
    /// long. Returns each order that it did something with, and whether there may be more.
    ///
    /// # Errors
    /// What [`order::change`] refuses; [`Stopped::Failed`].
    pub async fn look_at_due(
        &self,
        transaction: &mut Transaction,
        patience: Patience,
        most: u32,
    ) -> Result<(Vec<(Order, Overdue)>, bool), Stopped> {
        let now = transaction.now();
        let first = Due::first(self.table, most);
        let (rows, more) = self.due::<Due>(&first, |due| due.look_at, now).await?;
        let ids: Vec<String> = rows.iter().map(|due| due.order_id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let orders = self.outbox.load_each::<Order>(self.table, &ids).await?;
        let mut found = Vec::new();
        for (due, entity) in rows.iter().zip(&orders) {
            transaction.delete(due.key(self.table), Condition::Present);
            let order_id = due.order_id;
            let order = entity.state().ok_or(Refusal::UnknownOrder { order_id })?;
            let overdue = order.overdue(due.named, patience, now);
            match overdue {
                Overdue::Nothing => continue,
                Overdue::Wait { until } | Overdue::Stuck { until } => {
                    // Two looks are never at the same time: this one would find the same.
                    let look_at = until.max(now.plus(Duration::from_millis(1)));
                    let named = due.named || matches!(overdue, Overdue::Stuck { .. });
                    let due = Due {
                        order_id,
                        look_at,
                        named,
                    };
                    transaction.insert(due.key(self.table), &due)?;
                    if matches!(overdue, Overdue::Stuck { .. }) {
                        step_of(transaction, entity, order_id, OrderStep::Stuck)?;
                    }
                }
                Overdue::Cancel { reason } => {
                    let step = OrderStep::Cancel {
                        reason: Some(Text::new(reason)?),
                        by: system()?,
                    };
                    step_of(transaction, entity, order_id, step)?;
                }
            }
            found.push((order.clone(), overdue));
        }
        Ok((found, more))
    }

    /// The rows whose time has come, of a partition that has them by time, and whether there may be more.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub(super) async fn due<T: DeserializeOwned>(
        &self,
        first: &Query,
        look_at: fn(&T) -> Timestamp,
        now: Timestamp,
    ) -> Result<(Vec<T>, bool), Error> {
        let (mut rows, _) = self.outbox.rows::<T>(first).await?;
        let read = rows.len();
        rows.retain(|row| look_at(row) <= now);
        let more = read == rows.len() && u32::try_from(read).is_ok_and(|read| read == first.limit);
        Ok((rows, more))
    }

    /// Counts a captured payment towards the order that it is for. What changes otherwise with a payment, and payments that are
    /// for nothing, change nothing.
    ///
    /// # Errors
    /// [`Refusal::NoSuchReference`], [`Refusal::UnknownOrder`], [`Refusal::OtherCurrency`]; [`Stopped::Failed`].
    pub async fn payment_moved(
        &self,
        transaction: &mut Transaction,
        event: &PaymentChanged,
    ) -> Result<(), Stopped> {
        let is_captured = event.to_status == payment::PaymentStatus::Captured;
        let reference = event.reference.as_ref().filter(|_| is_captured);
        let Some(reference) = reference else {
            return Ok(());
        };
        match reference.reference_type {
            ReferenceType::Order => {}
        }
        let id = &reference.id;
        let unknown = || Refusal::NoSuchReference { id: id.clone() };
        let order_id: OrderId = id.as_str().parse().map_err(|_| unknown())?;
        // A payment that has a reference states its amount.
        let (amount, currency) = event.amount.zip(event.currency).ok_or_else(unknown)?;
        let entity = self.order(order_id).await?;
        let order = entity.state().ok_or(Refusal::UnknownOrder { order_id })?;
        if order.totals().currency.as_str() != currency.as_str() {
            let currency = order.totals().currency;
            return Err(Refusal::OtherCurrency { currency }.into());
        }
        let step = OrderStep::Pay {
            reference: Text::new(event.payment_id.to_string())?,
            on_account: false,
            amount,
        };
        step_of(transaction, &entity, order_id, step).map(drop)
    }
}

/// The partition of the list of a customer's orders.
pub(super) fn list_of(customer_id: &CustomerId) -> String {
    format!("customer_orders#{customer_id}")
}

/// What is known of a customer, who must exist.
pub(super) fn profile_of<'c>(
    customer: &'c Entity<Customer>,
    customer_id: &CustomerId,
) -> Result<&'c Profile, Refusal> {
    let profile = customer.state().map(Customer::profile);
    profile.ok_or_else(|| Refusal::UnknownCustomer {
        customer_id: customer_id.clone(),
    })
}

fn step_of(
    transaction: &mut Transaction,
    entity: &Entity<Order>,
    order_id: OrderId,
    step: OrderStep,
) -> Result<Done<Order>, Stopped> {
    let order = entity.state().ok_or(Refusal::UnknownOrder { order_id })?;
    let change = order::change(order, step, entity.next_version()?, transaction.now())?;
    Ok(change.save(transaction, entity)?)
}
