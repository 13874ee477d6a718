//! An order of goods: placed, confirmed once credit and stock are reserved, shipped, delivered and paid.
//!
//! Its status, its payment and where its goods are change in [`change`] alone. [`STATUS`] and [`FULFILLMENT`] say what can
//! follow what.

pub mod due;
mod rebuild;

pub use due::{Due, Overdue, Patience};

use domain::{Illegal, Transitions};
use events::{
    CartId, Contract, CountryCode, CustomerId, Draft, IdempotencyKey, ItemId, Money, OrderId,
    OrderNumber, QuoteId, Sequence, Sku, Text, Timestamp,
    contracts::{
        customer::{CustomerType, PaymentTerm, VatTreatment},
        order::{
            Awaits, Cancelled, Confirmed, Created, Delivered, FulfillmentStatus, Goods, Item,
            OrderStatus, Paid, PaymentStatus, Rejected, Rejection, Shipped, Shortage,
            StockRequested, Stuck, Totals,
        },
        price::Currency,
        quote::QuoteStatus,
    },
};
use outbox::{Entity, Error, State, Transaction};
use serde::{Deserialize, Serialize};

use crate::Done;

/// The numbers of orders that a process has taken.
pub type Numbers = crate::numbers::Numbers<OrderNumber>;

/// Which status can follow which.
pub const STATUS: Transitions<OrderStatus> = Transitions::new(&[
    (
        OrderStatus::Pending,
        &[
            OrderStatus::Confirmed,
            OrderStatus::Rejected,
            OrderStatus::Cancelled,
        ],
    ),
    (
        OrderStatus::Confirmed,
        &[OrderStatus::Completed, OrderStatus::Cancelled],
    ),
    (OrderStatus::Completed, &[]),
    (OrderStatus::Rejected, &[]),
    (OrderStatus::Cancelled, &[]),
]);

/// Where the goods can go.
pub const FULFILLMENT: Transitions<FulfillmentStatus> = Transitions::new(&[
    (
        FulfillmentStatus::Unfulfilled,
        &[FulfillmentStatus::Shipped],
    ),
    (FulfillmentStatus::Shipped, &[FulfillmentStatus::Delivered]),
    (FulfillmentStatus::Delivered, &[]),
]);

/// Why a command on orders is refused. Each variant becomes a problem of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such customer.
    #[error("there is no customer {customer_id}")]
    UnknownCustomer {
        /// The customer that was asked for.
        customer_id: CustomerId,
    },
    /// There is no such order.
    #[error("there is no order {order_id}")]
    UnknownOrder {
        /// The order that was asked for.
        order_id: OrderId,
    },
    /// There is no such cart.
    #[error("there is no cart {cart_id}")]
    UnknownCart {
        /// The cart that was asked for.
        cart_id: CartId,
    },
    /// The cart became an order, and changes no more.
    #[error("the cart became an order")]
    CartOrdered {
        /// The order.
        order_id: Option<OrderId>,
    },
    /// The cart has no line.
    #[error("cart {cart_id} is empty")]
    CartEmpty {
        /// The cart.
        cart_id: CartId,
    },
    /// There is no such quote.
    #[error("there is no quote {quote_id}")]
    UnknownQuote {
        /// The quote that was asked for.
        quote_id: QuoteId,
    },
    /// The quote was accepted, rejected or superseded, and changes no more.
    #[error("the quote is {status}")]
    QuoteClosed {
        /// Where it stands.
        status: QuoteStatus,
        /// The order that it became.
        order_id: Option<OrderId>,
        /// The quote that took its place.
        superseded_by: Option<QuoteId>,
    },
    /// The time of the quote is over.
    #[error("the quote was valid until {valid_until}")]
    QuoteExpired {
        /// When it was over.
        valid_until: Timestamp,
    },
    /// Prices moved too far from those of the quote.
    #[error("prices moved too far from those of the quote: it must be priced again")]
    QuoteNeedsRepricing {
        /// The quote.
        quote_id: QuoteId,
    },
    /// The cart has no such line.
    #[error("the cart has no line {item_id}")]
    UnknownItem {
        /// The line that was asked for.
        item_id: ItemId,
    },
    /// The cart would have more lines than an order can have.
    #[error("a cart has at most {most} lines")]
    TooManyLines {
        /// The largest number.
        most: usize,
    },
    /// A line would have a larger quantity than a line can have.
    #[error("a line has at most {most} pieces")]
    QuantityTooLarge {
        /// The largest quantity.
        most: u32,
    },
    /// A payment is for an order that cannot be: its reference is no order's id.
    #[error("{id:?} is no order")]
    NoSuchReference {
        /// What the payment says it is for.
        id: Text<64>,
    },
    /// A payment is in another currency than its order.
    #[error("the order is in {currency}")]
    OtherCurrency {
        /// The order's currency.
        currency: Currency,
    },
    /// Another order has the id.
    #[error("the order's id is taken")]
    IdTaken,
    /// Two lines ask for the same sku.
    #[error("{sku} is in two lines")]
    SameSku {
        /// The second line's place.
        line: usize,
        /// The sku.
        sku: Sku,
    },
    /// The lines cannot be calculated.
    #[error(transparent)]
    Calculation(#[from] crate::Refusal),
    /// The customer cannot buy the goods of some lines: no product has the sku, or it is not sold, or not to this customer.
    #[error("not for sale: {}", skus(.lines))]
    NotForSale {
        /// The lines by their places, with their skus.
        lines: Vec<(usize, Sku)>,
    },
    /// The order comes to another amount than the caller expects.
    #[error("the order comes to {total} {currency}, not {expected}")]
    TotalChanged {
        /// What the caller expects.
        expected: Money,
        /// What it comes to.
        total: Money,
        /// The currency of both.
        currency: Currency,
    },
    /// There is not enough stock.
    #[error("there is not enough of {}", listed(.shortages))]
    InsufficientStock {
        /// Every line for which there is not enough, with its place.
        shortages: Vec<(usize, Shortage)>,
    },
    /// The customer, a business, has no credit account in the currency.
    #[error("customer {customer_id} has no credit account in {currency}")]
    NoCreditAccount {
        /// The customer.
        customer_id: CustomerId,
        /// The order's currency.
        currency: Currency,
    },
    /// The status does not allow the step.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The goods of a consumer are shipped once they are paid.
    #[error("{outstanding} is still to be paid before the goods are shipped")]
    NotPaid {
        /// What is still to be paid.
        outstanding: Money,
    },
    /// An amount has more than 15 digits.
    #[error("the amount is too large")]
    TooLarge,
}

fn skus(lines: &[(usize, Sku)]) -> String {
    let skus: Vec<&str> = lines.iter().map(|(_, sku)| sku.as_str()).collect();
    skus.join(", ")
}

fn listed(shortages: &[(usize, Shortage)]) -> String {
    let skus: Vec<&str> = shortages
        .iter()
        .map(|(_, short)| short.sku.as_str())
        .collect();
    skus.join(", ")
}

/// An order. Its fields change in this module alone, which also makes the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    order_id: OrderId,
    order_number: OrderNumber,
    customer_id: CustomerId,
    customer_type: CustomerType,
    payment_term: PaymentTerm,
    country: CountryCode,
    vat_treatment: VatTreatment,
    status: OrderStatus,
    payment_status: PaymentStatus,
    fulfillment_status: FulfillmentStatus,
    items: Vec<Item>,
    totals: Totals,
    paid: Money,
    /// Whether its goods were asked for: its credit is reserved, or it needs none.
    stock_requested: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejection: Option<Rejection>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    quote_id: Option<QuoteId>,
    created_at: Timestamp,
    created_by: Text<256>,
    updated_at: Timestamp,
}

impl State for Order {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

impl Order {
    /// Its id.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// Its number, as people read it.
    #[must_use]
    pub fn order_number(&self) -> &OrderNumber {
        &self.order_number
    }

    /// The customer.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// Whether the customer buys for a business.
    #[must_use]
    pub fn customer_type(&self) -> CustomerType {
        self.customer_type
    }

    /// When it is to be paid.
    #[must_use]
    pub fn payment_term(&self) -> PaymentTerm {
        self.payment_term
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

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> OrderStatus {
        self.status
    }

    /// How much of it is paid.
    #[must_use]
    pub fn payment_status(&self) -> PaymentStatus {
        self.payment_status
    }

    /// Where its goods are.
    #[must_use]
    pub fn fulfillment_status(&self) -> FulfillmentStatus {
        self.fulfillment_status
    }

    /// Its lines.
    #[must_use]
    pub fn items(&self) -> &[Item] {
        &self.items
    }

    /// What it comes to.
    #[must_use]
    pub fn totals(&self) -> &Totals {
        &self.totals
    }

    /// What is paid.
    #[must_use]
    pub fn paid(&self) -> Money {
        self.paid
    }

    /// Why it was rejected.
    #[must_use]
    pub fn rejection(&self) -> Option<Rejection> {
        self.rejection
    }

    /// The quote that it was placed at the prices of.
    #[must_use]
    pub fn quote_id(&self) -> Option<QuoteId> {
        self.quote_id
    }

    /// When it was placed.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Whether its credit is still being reserved.
    #[must_use]
    pub fn awaits_credit(&self) -> bool {
        self.status == OrderStatus::Pending && !self.stock_requested
    }

    /// Whether its goods are still being reserved.
    #[must_use]
    pub fn awaits_stock(&self) -> bool {
        self.status == OrderStatus::Pending && self.stock_requested
    }

    /// What is still to be paid.
    #[must_use]
    pub fn outstanding(&self) -> Money {
        self.totals.total.minus(self.paid).unwrap_or(Money::ZERO)
    }

    fn goods(&self) -> Vec<Goods> {
        let goods = self.items.iter().map(|item| Goods {
            sku: item.sku.clone(),
            quantity: item.quantity,
        });
        goods.collect()
    }

    /// The status once the goods are delivered and all is paid, else the present one.
    fn settled(&self) -> OrderStatus {
        let delivered = self.fulfillment_status == FulfillmentStatus::Delivered;
        if delivered && self.payment_status == PaymentStatus::Paid {
            OrderStatus::Completed
        } else {
            self.status
        }
    }
}

/// How much of an order is paid, by what is paid and what is still to be paid.
fn payment_status(paid: Money, outstanding: Money) -> PaymentStatus {
    if outstanding.is_zero() {
        PaymentStatus::Paid
    } else if paid.is_zero() {
        PaymentStatus::Pending
    } else {
        PaymentStatus::PartiallyPaid
    }
}

/// What an order is placed with, after everything was looked up and calculated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The order's id.
    pub order_id: OrderId,
    /// Its number.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// When it is to be paid.
    pub payment_term: PaymentTerm,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// Its lines.
    pub items: Vec<Item>,
    /// What it comes to.
    pub totals: Totals,
    /// The quote that it is placed at the prices of.
    pub quote_id: Option<QuoteId>,
    /// Who places it.
    pub by: Text<256>,
}

/// A step of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OrderStep {
    /// Its credit is reserved: now its goods are asked for.
    AskForStock,
    /// It is pending for too long.
    Stuck,
    /// Its goods are reserved.
    Confirm,
    /// Credit or stock was refused.
    Reject {
        /// Why.
        reason: Rejection,
        /// Every line for which there is not enough stock.
        shortages: Vec<Shortage>,
    },
    /// It is cancelled.
    Cancel {
        /// Why.
        reason: Option<Text<500>>,
        /// Who cancels it.
        by: Text<256>,
    },
    /// It was paid, or a part of it.
    Pay {
        /// What the payment is called.
        reference: Text<255>,
        /// Whether it was paid on the customer's credit account.
        on_account: bool,
        /// How much was paid.
        amount: Money,
    },
    /// Its goods left the house.
    Ship {
        /// Who carries them.
        carrier: Option<Text<100>>,
        /// The carrier's number of the parcel.
        tracking: Option<Text<100>>,
        /// Who says so.
        by: Text<256>,
    },
    /// Its goods arrived.
    Deliver {
        /// Who says so.
        by: Text<256>,
    },
}

/// A decided change of an order: the state after it and its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderChange {
    state: Order,
    events: Vec<Event>,
    version: Sequence,
}

/// An event of an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was placed.
    Created(Box<Created>),
    /// Its goods were asked for.
    StockRequested(StockRequested),
    /// It is pending for too long.
    Stuck(Stuck),
    /// It was confirmed.
    Confirmed(Confirmed),
    /// It was rejected.
    Rejected(Rejected),
    /// It was cancelled.
    Cancelled(Cancelled),
    /// It was paid, or a part of it.
    Paid(Paid),
    /// Its goods left the house.
    Shipped(Shipped),
    /// Its goods arrived.
    Delivered(Delivered),
}

impl Event {
    fn draft(&self) -> Result<Draft, Error> {
        fn named<C: Contract>(event: &C, what: &str) -> Result<Draft, Error> {
            let id = event.aggregate_id();
            let name = IdempotencyKey::new(format!("order/{id}/{what}"))?;
            Ok(Draft::of(event)?.with_idempotency_key(name))
        }
        // Each happens once in an order's life but two, which the version tells from others of their kind.
        match self {
            Self::Created(event) => named(&**event, "created"),
            Self::StockRequested(event) => named(event, "stock_requested"),
            Self::Stuck(event) => named(event, &format!("stuck/{}", event.version)),
            Self::Confirmed(event) => named(event, "confirmed"),
            Self::Rejected(event) => named(event, "rejected"),
            Self::Cancelled(event) => named(event, "cancelled"),
            Self::Paid(event) => named(event, &format!("paid/{}", event.version)),
            Self::Shipped(event) => named(event, "shipped"),
            Self::Delivered(event) => named(event, "delivered"),
        }
    }
}

impl OrderChange {
    /// The state after the change.
    #[must_use]
    pub fn state(&self) -> &Order {
        &self.state
    }

    /// The events.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Puts the state and its events into a transaction.
    ///
    /// # Errors
    /// [`Error`] if the entity is another one's.
    pub fn save(
        self,
        transaction: &mut Transaction,
        entity: &Entity<Order>,
    ) -> Result<Done<Order>, Error> {
        let drafts = self.events.iter().map(Event::draft);
        let drafts = drafts.collect::<Result<_, _>>()?;
        transaction.update(entity, &self.state, drafts)?;
        let Self { state, version, .. } = self;
        Ok(Done { state, version })
    }
}

/// Places an order; `version` is the one that the row has afterwards. The order of a business awaits its credit; that of a
/// consumer asks for its goods at once.
#[must_use]
pub fn place(placed: Placed, version: Sequence, now: Timestamp) -> OrderChange {
    let needs_credit = placed.customer_type == CustomerType::B2b;
    let order = Order {
        order_id: placed.order_id,
        order_number: placed.order_number,
        customer_id: placed.customer_id,
        customer_type: placed.customer_type,
        payment_term: placed.payment_term,
        country: placed.country,
        vat_treatment: placed.vat_treatment,
        status: OrderStatus::Pending,
        payment_status: payment_status(Money::ZERO, placed.totals.total),
        fulfillment_status: FulfillmentStatus::Unfulfilled,
        items: placed.items,
        totals: placed.totals,
        paid: Money::ZERO,
        stock_requested: !needs_credit,
        rejection: None,
        quote_id: placed.quote_id,
        created_at: now,
        created_by: placed.by,
        updated_at: now,
    };
    let created = Created {
        order_id: order.order_id,
        order_number: order.order_number.clone(),
        customer_id: order.customer_id.clone(),
        customer_type: order.customer_type,
        created_at: now,
        status: order.status,
        payment_status: order.payment_status,
        fulfillment_status: order.fulfillment_status,
        items: order.items.clone(),
        totals: order.totals.clone(),
        payment_term: Some(order.payment_term),
        country: Some(order.country.clone()),
        vat_treatment: Some(order.vat_treatment),
        quote_id: order.quote_id,
        created_by: Some(order.created_by.clone()),
        version: Some(version),
    };
    let mut events = vec![Event::Created(Box::new(created))];
    if !needs_credit {
        events.push(stock_requested(&order, version, now));
    }
    OrderChange {
        state: order,
        events,
        version,
    }
}

fn stock_requested(order: &Order, version: Sequence, now: Timestamp) -> Event {
    Event::StockRequested(StockRequested {
        order_id: order.order_id,
        order_number: order.order_number.clone(),
        items: order.goods(),
        requested_at: now,
        version,
    })
}

/// Decides a step of an order; `version` is the one that the row has after the change.
///
/// # Errors
/// [`Refusal::Illegal`], [`Refusal::NotPaid`], [`Refusal::TooLarge`].
pub fn change(
    before: &Order,
    step: OrderStep,
    version: Sequence,
    now: Timestamp,
) -> Result<OrderChange, Refusal> {
    let mut order = before.clone();
    let now = order.updated_at.max(now);
    order.updated_at = now;
    let (order_id, order_number) = (order.order_id, order.order_number.clone());
    let (customer_id, customer_type) = (order.customer_id.clone(), order.customer_type);
    let (amount, currency) = (order.totals.total, order.totals.currency);
    let event = match step {
        OrderStep::AskForStock => {
            if !before.awaits_credit() {
                return Err(STATUS.refused(before.status, OrderStatus::Pending).into());
            }
            order.stock_requested = true;
            stock_requested(&order, version, now)
        }
        OrderStep::Stuck => {
            if before.status != OrderStatus::Pending {
                return Err(STATUS.refused(before.status, OrderStatus::Pending).into());
            }
            Event::Stuck(Stuck {
                order_id,
                order_number,
                customer_id,
                awaits: if before.stock_requested {
                    Awaits::Stock
                } else {
                    Awaits::Credit
                },
                created_at: order.created_at,
                stuck_at: now,
                version,
            })
        }
        OrderStep::Confirm => {
            STATUS.check(before.status, OrderStatus::Confirmed)?;
            if !before.stock_requested {
                return Err(STATUS.refused(before.status, OrderStatus::Confirmed).into());
            }
            order.status = OrderStatus::Confirmed;
            Event::Confirmed(Confirmed {
                order_id,
                order_number,
                customer_id,
                confirmed_at: now,
                version,
            })
        }
        OrderStep::Reject { reason, shortages } => {
            STATUS.check(before.status, OrderStatus::Rejected)?;
            if (reason == Rejection::OutOfStock) != before.stock_requested {
                return Err(STATUS.refused(before.status, OrderStatus::Rejected).into());
            }
            order.status = OrderStatus::Rejected;
            order.rejection = Some(reason);
            Event::Rejected(Rejected {
                order_id,
                order_number,
                customer_id,
                customer_type,
                amount,
                currency,
                reason,
                shortages,
                rejected_at: now,
                version,
            })
        }
        OrderStep::Cancel { reason, by } => {
            STATUS.check(before.status, OrderStatus::Cancelled)?;
            if before.fulfillment_status != FulfillmentStatus::Unfulfilled {
                let at = before.fulfillment_status;
                let to = OrderStatus::Cancelled.to_string();
                // What comes next is where the goods go.
                let refused = FULFILLMENT.refused(at, FulfillmentStatus::Delivered);
                return Err(Illegal { to, ..refused }.into());
            }
            order.status = OrderStatus::Cancelled;
            Event::Cancelled(Cancelled {
                order_id,
                order_number,
                customer_id,
                customer_type,
                amount,
                currency,
                items: order.goods(),
                previous_status: before.status,
                reason,
                cancelled_at: now,
                cancelled_by: by,
                version,
            })
        }
        OrderStep::Pay {
            reference,
            on_account,
            amount,
        } => {
            let paid = before.paid.plus(amount);
            order.paid = paid.map_err(|_| Refusal::TooLarge)?;
            order.payment_status = payment_status(order.paid, order.outstanding());
            order.status = order.settled();
            Event::Paid(Paid {
                order_id,
                order_number,
                customer_id,
                customer_type,
                payment_reference: reference,
                on_account,
                amount,
                currency,
                outstanding: order.outstanding(),
                payment_status: order.payment_status,
                status: order.status,
                paid_at: now,
                version,
            })
        }
        OrderStep::Ship {
            carrier,
            tracking,
            by,
        } => {
            if before.status != OrderStatus::Confirmed {
                let to = FulfillmentStatus::Shipped.to_string();
                let refused = STATUS.refused(before.status, OrderStatus::Completed);
                return Err(Illegal { to, ..refused }.into());
            }
            FULFILLMENT.check(before.fulfillment_status, FulfillmentStatus::Shipped)?;
            if customer_type == CustomerType::B2c && before.payment_status != PaymentStatus::Paid {
                let outstanding = before.outstanding();
                return Err(Refusal::NotPaid { outstanding });
            }
            order.fulfillment_status = FulfillmentStatus::Shipped;
            Event::Shipped(Shipped {
                order_id,
                order_number,
                customer_id,
                customer_type,
                items: order.goods(),
                carrier,
                tracking,
                shipped_at: now,
                shipped_by: by,
                version,
            })
        }
        OrderStep::Deliver { by } => {
            FULFILLMENT.check(before.fulfillment_status, FulfillmentStatus::Delivered)?;
            order.fulfillment_status = FulfillmentStatus::Delivered;
            order.status = order.settled();
            Event::Delivered(Delivered {
                order_id,
                order_number,
                customer_id,
                status: order.status,
                delivered_at: now,
                delivered_by: by,
                version,
            })
        }
    };
    Ok(OrderChange {
        state: order,
        events: vec![event],
        version,
    })
}

#[cfg(test)]
mod tests;
