//! Compares orders with their credit, their goods, their payments and the rows by which they are looked at again: what is reserved
//! and owed of an account, and what is reserved of a stock, is what its orders hold; an order that ended holds nothing; each payment
//! for an order counts towards it, once. Flow, the fault campaign and the audit run it over states that are rebuilt from events, so it
//! shares nothing with the rules but those states.
//!
//! It holds once every event is handled. An order that is still pending may hold anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use events::{
    Contract as _, CustomerId, DecodeError, Envelope, EventId, Money, OrderId, PaymentId, Sku,
    Text,
    contracts::{
        credit::{CreditStatus, ReservationChanged},
        customer::CustomerType,
        order::{FulfillmentStatus, Goods, OrderStatus, Paid},
        payment::{self, PaymentStatus, Reference, ReferenceType, StatusChanged},
        price::Currency,
        stock::ReservationStatus,
    },
    decode_payload,
};
use outbox::State as _;
use rust_decimal::Decimal;

use crate::{
    CreditAccount, Order, Stock,
    credit::{self, Part},
    order::Due,
    stock,
};

/// Something that does not add up. Its text does not name the aggregate that it is about: [`Wrong::aggregate`] does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// What is reserved of an account is not what is reserved for its orders.
    Reserved {
        /// The customer whose account it is.
        customer_id: CustomerId,
        /// What the account states; zero if there is none.
        stated: Money,
        /// The sum over the customer's orders.
        orders: Decimal,
    },
    /// What is owed on an account is not what is owed for its orders.
    Owed {
        /// The customer whose account it is.
        customer_id: CustomerId,
        /// What the account states; zero if there is none.
        stated: Money,
        /// The sum over the customer's orders.
        orders: Decimal,
    },
    /// What is reserved of a stock is not what is reserved for orders.
    Stock {
        /// The stock's sku.
        sku: Sku,
        /// What the stock states; zero if there is none.
        stated: u32,
        /// The sum over all orders.
        orders: u64,
    },
    /// The credit for an order stands where it cannot, as far as the order is.
    Credit {
        /// The order.
        order_id: OrderId,
        /// Where the order stands.
        status: OrderStatus,
        /// Where its goods are.
        fulfillment: FulfillmentStatus,
        /// Where its credit stands; `None` if nothing is known of it.
        credit: Option<CreditStatus>,
    },
    /// The goods of an order stand where they cannot, as far as the order is.
    Goods {
        /// The order.
        order_id: OrderId,
        /// Where the order stands.
        status: OrderStatus,
        /// Where its goods are.
        fulfillment: FulfillmentStatus,
        /// Where the reservation of its goods stands; `None` if nothing is known of it.
        goods: Option<ReservationStatus>,
    },
    /// The credit for an order is another customer's, or of another amount.
    OtherCredit {
        /// The order.
        order_id: OrderId,
    },
    /// Other goods are reserved for an order than it has.
    OtherGoods {
        /// The order.
        order_id: OrderId,
    },
    /// There is credit for an order that is not in the books.
    CreditOfNoOrder {
        /// The order that it names.
        order_id: OrderId,
    },
    /// Goods are reserved for an order that is not in the books.
    GoodsOfNoOrder {
        /// The order that they name.
        order_id: OrderId,
    },
    /// An order counts another sum of a payment than was paid: nothing, or too much, or a payment that nobody made.
    Payment {
        /// The event of the payment; if there is none, that by which the order counts it.
        event_id: EventId,
        /// The order.
        order_id: OrderId,
        /// What the payment is called: the bank's reference of a payment on account, else the payment's id.
        reference: String,
        /// What was paid.
        made: Decimal,
        /// What the order counts.
        counted: Decimal,
    },
    /// A payment was captured for an order that does not exist, and not all of it is refunded.
    PaymentForNoOrder {
        /// The event of its capture.
        event_id: EventId,
        /// The payment.
        payment_id: PaymentId,
        /// What it says it is for.
        id: Text<64>,
    },
    /// A payment was captured in another currency than that of its order, and not all of it is refunded.
    PaymentInOtherCurrency {
        /// The event of its capture.
        event_id: EventId,
        /// The payment.
        payment_id: PaymentId,
        /// Its order.
        order_id: OrderId,
    },
    /// Nothing says when an order is looked at again, although it can still take too long.
    NotDue {
        /// The order.
        order_id: OrderId,
        /// Where it stands.
        status: OrderStatus,
    },
    /// More than one row says when an order is looked at again.
    DueTwice {
        /// The order.
        order_id: OrderId,
    },
    /// A row says when an order is looked at again, but the order is not in the books.
    DueForNoOrder {
        /// The order that it names.
        order_id: OrderId,
    },
}

impl Wrong {
    /// The order that it is about; `None` if it is about the sum of several, or about a payment for none.
    #[must_use]
    pub fn order_id(&self) -> Option<OrderId> {
        match self {
            Self::Reserved { .. }
            | Self::Owed { .. }
            | Self::Stock { .. }
            | Self::PaymentForNoOrder { .. } => None,
            Self::Credit { order_id, .. }
            | Self::Goods { order_id, .. }
            | Self::OtherCredit { order_id }
            | Self::OtherGoods { order_id }
            | Self::CreditOfNoOrder { order_id }
            | Self::GoodsOfNoOrder { order_id }
            | Self::Payment { order_id, .. }
            | Self::PaymentInOtherCurrency { order_id, .. }
            | Self::NotDue { order_id, .. }
            | Self::DueTwice { order_id }
            | Self::DueForNoOrder { order_id } => Some(*order_id),
        }
    }

    /// The event that shows it, if one does.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        match self {
            Self::Payment { event_id, .. }
            | Self::PaymentForNoOrder { event_id, .. }
            | Self::PaymentInOtherCurrency { event_id, .. } => Some(*event_id),
            _ => None,
        }
    }

    /// The aggregate that it is about, as the event log names it: `order#{id}`.
    #[must_use]
    pub fn aggregate(&self) -> String {
        match self {
            Self::Reserved { customer_id, .. } | Self::Owed { customer_id, .. } => {
                format!("{}#{customer_id}", CreditAccount::AGGREGATE)
            }
            Self::Stock { sku, .. } => format!("{}#{sku}", Stock::AGGREGATE),
            Self::CreditOfNoOrder { order_id } => {
                format!("{}#{order_id}", credit::Reservation::AGGREGATE)
            }
            Self::GoodsOfNoOrder { order_id } => {
                format!("{}#{order_id}", stock::Reservation::AGGREGATE)
            }
            Self::PaymentForNoOrder { payment_id, .. }
            | Self::PaymentInOtherCurrency { payment_id, .. } => {
                format!("{}#{payment_id}", payment::Created::AGGREGATE)
            }
            Self::Credit { order_id, .. }
            | Self::Goods { order_id, .. }
            | Self::OtherCredit { order_id }
            | Self::OtherGoods { order_id }
            | Self::Payment { order_id, .. }
            | Self::NotDue { order_id, .. }
            | Self::DueTwice { order_id }
            | Self::DueForNoOrder { order_id } => format!("{}#{order_id}", Order::AGGREGATE),
        }
    }
}

impl fmt::Display for Wrong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Reserved { stated, orders, .. } => write!(
                f,
                "{stated} are reserved of it; what is reserved for its orders comes to {orders:.2}"
            ),
            Self::Owed { stated, orders, .. } => write!(
                f,
                "{stated} are owed on it; what is owed for its orders comes to {orders:.2}"
            ),
            Self::Stock { stated, orders, .. } => write!(
                f,
                "{stated} pieces are reserved of it; what is reserved for orders comes to {orders}"
            ),
            Self::Credit {
                status,
                fulfillment,
                credit,
                ..
            } => stands(f, (*status, *fulfillment), "credit", credit.as_ref()),
            Self::Goods {
                status,
                fulfillment,
                goods,
                ..
            } => stands(f, (*status, *fulfillment), "goods", goods.as_ref()),
            Self::OtherCredit { .. } => {
                f.write_str("its credit is another customer's, or of another amount")
            }
            Self::OtherGoods { .. } => f.write_str("other goods are reserved for it than it has"),
            Self::CreditOfNoOrder { .. } | Self::GoodsOfNoOrder { .. } => {
                f.write_str("there is no such order")
            }
            Self::Payment {
                order_id,
                reference,
                made,
                counted,
                ..
            } => write!(
                f,
                "order/{order_id} counts {counted:.2} of the payment {reference}, of which {made:.2} was paid"
            ),
            Self::PaymentForNoOrder { id, .. } => {
                write!(
                    f,
                    "it was captured for the order {id}, which does not exist"
                )
            }
            Self::PaymentInOtherCurrency { order_id, .. } => write!(
                f,
                "it was captured for order/{order_id}, which is in another currency"
            ),
            Self::NotDue { status, .. } => write!(
                f,
                "it is {status}, and no row says when it is looked at again"
            ),
            Self::DueTwice { .. } => f.write_str("several rows say when it is looked at again"),
            Self::DueForNoOrder { .. } => {
                f.write_str("a row says when it is looked at again, but there is no such order")
            }
        }
    }
}

/// How far an order is, and what is wrong with its credit or its goods.
fn stands<S: fmt::Display>(
    f: &mut fmt::Formatter<'_>,
    (status, fulfillment): (OrderStatus, FulfillmentStatus),
    what: &str,
    held: Option<&S>,
) -> fmt::Result {
    write!(f, "it is {status} and {fulfillment}, but ")?;
    match held {
        Some(held) => write!(f, "the status of its {what} is {held}"),
        None => write!(f, "nothing is known of its {what}"),
    }
}

/// What the books need of an order.
#[derive(Debug, Clone)]
struct Placed {
    customer_id: CustomerId,
    is_business: bool,
    status: OrderStatus,
    fulfillment: FulfillmentStatus,
    total: Money,
    currency: Currency,
    goods: Vec<Goods>,
    /// Whether it can still take too long: to be decided, or to be paid by a consumer.
    can_expire: bool,
}

impl Placed {
    /// Whether its credit can stand there. A consumer has none.
    fn may_have_credit(&self, credit: Option<CreditStatus>) -> bool {
        if !self.is_business {
            return credit.is_none();
        }
        let is_shipped = self.fulfillment != FulfillmentStatus::Unfulfilled;
        match self.status {
            OrderStatus::Pending => true,
            OrderStatus::Rejected | OrderStatus::Cancelled => {
                !matches!(credit, Some(CreditStatus::Reserved | CreditStatus::Owed))
            }
            OrderStatus::Confirmed | OrderStatus::Completed => match credit {
                // All of it was paid, before or after the goods were shipped.
                Some(CreditStatus::Settled) => true,
                Some(CreditStatus::Reserved) => !is_shipped,
                Some(CreditStatus::Owed) => is_shipped,
                Some(CreditStatus::Rejected | CreditStatus::Withdrawn | CreditStatus::Restored)
                | None => false,
            },
        }
    }

    /// Whether its goods can stand there.
    fn may_have_goods(&self, goods: Option<ReservationStatus>) -> bool {
        let is_shipped = self.fulfillment != FulfillmentStatus::Unfulfilled;
        match self.status {
            OrderStatus::Pending => true,
            OrderStatus::Rejected | OrderStatus::Cancelled => !matches!(
                goods,
                Some(ReservationStatus::Reserved | ReservationStatus::Shipped)
            ),
            OrderStatus::Confirmed | OrderStatus::Completed => {
                let due = if is_shipped {
                    ReservationStatus::Shipped
                } else {
                    ReservationStatus::Reserved
                };
                goods == Some(due)
            }
        }
    }
}

/// What the books need of the credit for an order.
#[derive(Debug, Clone)]
struct Credit {
    customer_id: CustomerId,
    status: CreditStatus,
    amount: Money,
    currency: Currency,
    open: Option<(Part, Money)>,
}

/// A payment that was captured for an order.
#[derive(Debug, Clone)]
struct Captured {
    event_id: EventId,
    reference: Reference,
    /// Absent in an event that no version of Millrace writes.
    amount: Option<(Money, payment::Currency)>,
}

/// A payment as an order counts it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Named {
    order_id: OrderId,
    on_account: bool,
    reference: String,
}

/// What was paid, and what the order counts of it.
#[derive(Debug, Clone, Copy)]
struct Sides {
    event_id: EventId,
    made: Decimal,
    counted: Decimal,
}

/// Orders, and what is compared with them. Things can be entered in any order.
#[derive(Debug, Clone, Default)]
pub struct Books {
    orders: BTreeMap<OrderId, Placed>,
    /// What is reserved and owed.
    accounts: BTreeMap<CustomerId, (Money, Money)>,
    credits: BTreeMap<OrderId, Credit>,
    /// What is reserved.
    stocks: BTreeMap<Sku, u32>,
    goods: BTreeMap<OrderId, (ReservationStatus, Vec<Goods>)>,
    captured: BTreeMap<PaymentId, Captured>,
    /// The payments of which all was refunded.
    refunded: BTreeSet<PaymentId>,
    /// The payments that were booked on account.
    booked: Vec<(EventId, Named, Money)>,
    /// What orders count.
    counted: Vec<(EventId, Named, Money)>,
    /// How many rows say when an order is looked at again.
    due: BTreeMap<OrderId, usize>,
}

impl Books {
    /// Enters an order.
    pub fn enter_order(&mut self, order: &Order) {
        let (status, fulfillment) = (order.status(), order.fulfillment_status());
        let is_business = order.customer_type() == CustomerType::B2b;
        let totals = order.totals();
        // An order of which a part is paid is not timed out.
        let can_be_unpaid = !is_business
            && fulfillment == FulfillmentStatus::Unfulfilled
            && order.paid().is_zero()
            && !totals.total.is_zero();
        let goods = order.items().iter().map(|item| Goods {
            sku: item.sku.clone(),
            quantity: item.quantity,
        });
        let placed = Placed {
            customer_id: order.customer_id().clone(),
            is_business,
            status,
            fulfillment,
            total: totals.total,
            currency: totals.currency,
            goods: goods.collect(),
            can_expire: status == OrderStatus::Pending
                || status == OrderStatus::Confirmed && can_be_unpaid,
        };
        self.orders.insert(order.order_id(), placed);
    }

    /// Enters a credit account.
    pub fn enter_account(&mut self, account: &CreditAccount) {
        let amounts = (account.reserved(), account.balance());
        self.accounts.insert(account.customer_id().clone(), amounts);
    }

    /// Enters the credit for an order.
    pub fn enter_credit(&mut self, reservation: &credit::Reservation) {
        let credit = Credit {
            customer_id: reservation.customer_id().clone(),
            status: reservation.status(),
            amount: reservation.amount(),
            currency: reservation.currency(),
            open: reservation.open(),
        };
        self.credits.insert(reservation.order_id(), credit);
    }

    /// Enters a stock.
    pub fn enter_stock(&mut self, stock: &Stock) {
        self.stocks.insert(stock.sku().clone(), stock.reserved());
    }

    /// Enters the reservation of an order's goods.
    pub fn enter_goods(&mut self, reservation: &stock::Reservation) {
        let goods = (reservation.status(), reservation.items().to_vec());
        self.goods.insert(reservation.order_id(), goods);
    }

    /// Enters a row by which an order is looked at again.
    pub fn enter_due(&mut self, due: &Due) {
        *self.due.entry(due.order_id).or_default() += 1;
    }

    /// Enters an event: payments, and what orders count of them. Other events change nothing.
    ///
    /// # Errors
    /// [`DecodeError`] when its payload breaks its contract.
    pub fn enter_event(&mut self, envelope: &Envelope) -> Result<(), DecodeError> {
        let event_id = envelope.event_id;
        match envelope.event_type.as_str() {
            StatusChanged::TYPE => {
                let event: StatusChanged = decode_payload(envelope)?;
                match (event.to_status, event.reference) {
                    (PaymentStatus::Captured, Some(reference)) => {
                        match reference.reference_type {
                            ReferenceType::Order => {}
                        }
                        let captured = Captured {
                            event_id,
                            reference,
                            amount: event.amount.zip(event.currency),
                        };
                        self.captured.insert(event.payment_id, captured);
                    }
                    (PaymentStatus::Refunded, _) => {
                        self.refunded.insert(event.payment_id);
                    }
                    _ => {}
                }
            }
            ReservationChanged::TYPE => {
                let event: ReservationChanged = decode_payload(envelope)?;
                if let Some(payment) = event.payment {
                    let named = Named {
                        order_id: event.order_id,
                        on_account: true,
                        reference: payment.external_reference.to_string(),
                    };
                    self.booked.push((event_id, named, payment.amount));
                }
            }
            Paid::TYPE => {
                let event: Paid = decode_payload(envelope)?;
                let named = Named {
                    order_id: event.order_id,
                    on_account: event.on_account,
                    reference: event.payment_reference.to_string(),
                };
                self.counted.push((event_id, named, event.amount));
            }
            _ => {}
        }
        Ok(())
    }

    /// Everything that does not add up; what is about single orders first.
    #[must_use]
    pub fn check(&self) -> Vec<Wrong> {
        let mut found = Vec::new();
        self.orders(&mut found);
        self.accounts(&mut found);
        self.stocks(&mut found);
        self.payments(&mut found);
        found
    }

    /// Compares each order with its credit, its goods and its row.
    fn orders(&self, found: &mut Vec<Wrong>) {
        for (&order_id, order) in &self.orders {
            let (status, fulfillment) = (order.status, order.fulfillment);
            let credit = self.credits.get(&order_id);
            let stands = credit.map(|credit| credit.status);
            if !order.may_have_credit(stands) {
                found.push(Wrong::Credit {
                    order_id,
                    status,
                    fulfillment,
                    credit: stands,
                });
            }
            let is_its_own = credit.is_none_or(|credit| {
                (&credit.customer_id, credit.amount, credit.currency)
                    == (&order.customer_id, order.total, order.currency)
            });
            if !is_its_own {
                found.push(Wrong::OtherCredit { order_id });
            }
            let goods = self.goods.get(&order_id);
            let stands = goods.map(|(status, _)| *status);
            if !order.may_have_goods(stands) {
                found.push(Wrong::Goods {
                    order_id,
                    status,
                    fulfillment,
                    goods: stands,
                });
            }
            if goods.is_some_and(|(_, goods)| *goods != order.goods) {
                found.push(Wrong::OtherGoods { order_id });
            }
            match self.due.get(&order_id) {
                None if order.can_expire => found.push(Wrong::NotDue { order_id, status }),
                Some(rows) if *rows > 1 => found.push(Wrong::DueTwice { order_id }),
                _ => {}
            }
        }
        let is_unknown = |order_id: &&OrderId| !self.orders.contains_key(*order_id);
        let of_none = self.credits.keys().filter(is_unknown);
        found.extend(of_none.map(|&order_id| Wrong::CreditOfNoOrder { order_id }));
        let of_none = self.goods.keys().filter(is_unknown);
        found.extend(of_none.map(|&order_id| Wrong::GoodsOfNoOrder { order_id }));
        let of_none = self.due.keys().filter(is_unknown);
        found.extend(of_none.map(|&order_id| Wrong::DueForNoOrder { order_id }));
    }

    /// Compares each account with the credit for its orders.
    fn accounts(&self, found: &mut Vec<Wrong>) {
        let mut sums: BTreeMap<&CustomerId, (Decimal, Decimal)> = BTreeMap::new();
        for credit in self.credits.values() {
            let Some((part, amount)) = credit.open else {
                continue;
            };
            let (reserved, owed) = sums.entry(&credit.customer_id).or_default();
            let sum = match part {
                Part::Reserved => reserved,
                Part::Owed => owed,
            };
            *sum = sum.saturating_add(amount.decimal());
        }
        let customers: BTreeSet<&CustomerId> =
            self.accounts.keys().chain(sums.keys().copied()).collect();
        for customer in customers {
            let stated = self.accounts.get(customer).copied().unwrap_or_default();
            let orders = sums.get(customer).copied().unwrap_or_default();
            let customer_id = || customer.clone();
            if stated.0.decimal() != orders.0 {
                found.push(Wrong::Reserved {
                    customer_id: customer_id(),
                    stated: stated.0,
                    orders: orders.0,
                });
            }
            if stated.1.decimal() != orders.1 {
                found.push(Wrong::Owed {
                    customer_id: customer_id(),
                    stated: stated.1,
                    orders: orders.1,
                });
            }
        }
    }

    /// Compares each stock with what is reserved for orders.
    fn stocks(&self, found: &mut Vec<Wrong>) {
        let mut sums: BTreeMap<&Sku, u64> = BTreeMap::new();
        let reserved = self.goods.values();
        let reserved = reserved.filter(|(status, _)| *status == ReservationStatus::Reserved);
        for line in reserved.flat_map(|(_, goods)| goods) {
            let sum = sums.entry(&line.sku).or_default();
            *sum = sum.saturating_add(line.quantity.into());
        }
        let skus: BTreeSet<&Sku> = self.stocks.keys().chain(sums.keys().copied()).collect();
        for sku in skus {
            let stated = self.stocks.get(sku).copied().unwrap_or_default();
            let orders = sums.get(sku).copied().unwrap_or_default();
            if u64::from(stated) != orders {
                found.push(Wrong::Stock {
                    sku: sku.clone(),
                    stated,
                    orders,
                });
            }
        }
    }

    /// Compares each payment for an order with what the order counts of it. One for an order that does not exist, or in another
    /// currency, is wrong as long as not all of it is refunded: no order counts it.
    fn payments(&self, found: &mut Vec<Wrong>) {
        let mut sides: BTreeMap<Named, Sides> = BTreeMap::new();
        let mut made = |event_id: EventId, named: Named, amount: Money| {
            let sides = sides.entry(named).or_insert(Sides {
                event_id,
                made: Decimal::ZERO,
                counted: Decimal::ZERO,
            });
            sides.made = sides.made.saturating_add(amount.decimal());
        };
        for (&payment_id, captured) in &self.captured {
            let event_id = captured.event_id;
            let id = &captured.reference.id;
            let is_refunded = self.refunded.contains(&payment_id);
            let order_id: Option<OrderId> = id.as_str().parse().ok();
            let order = order_id.and_then(|order_id| self.orders.get(&order_id));
            let (Some(order_id), Some(order), Some((amount, currency))) =
                (order_id, order, captured.amount)
            else {
                if !is_refunded {
                    found.push(Wrong::PaymentForNoOrder {
                        event_id,
                        payment_id,
                        id: id.clone(),
                    });
                }
                continue;
            };
            if currency.as_str() == order.currency.as_str() {
                let named = Named {
                    order_id,
                    on_account: false,
                    reference: payment_id.to_string(),
                };
                made(event_id, named, amount);
            } else if !is_refunded {
                found.push(Wrong::PaymentInOtherCurrency {
                    event_id,
                    payment_id,
                    order_id,
                });
            }
        }
        for (event_id, named, amount) in &self.booked {
            made(*event_id, named.clone(), *amount);
        }
        for (event_id, named, amount) in &self.counted {
            let sides = sides.entry(named.clone()).or_insert(Sides {
                event_id: *event_id,
                made: Decimal::ZERO,
                counted: Decimal::ZERO,
            });
            sides.counted = sides.counted.saturating_add(amount.decimal());
        }
        for (named, sides) in sides {
            // The credit of an order that is not in the books is wrong for that reason.
            if sides.made != sides.counted && self.orders.contains_key(&named.order_id) {
                found.push(Wrong::Payment {
                    event_id: sides.event_id,
                    order_id: named.order_id,
                    reference: named.reference,
                    made: sides.made,
                    counted: sides.counted,
                });
            }
        }
    }
}

#[cfg(test)]
mod tests;
