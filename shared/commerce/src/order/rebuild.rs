//! Rebuilds an order from its events alone. It shares no code with the decisions: each event is taken at face value.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Money, OrderId, Retention,
    contracts::{
        customer::CustomerType,
        order::{Awaits, FulfillmentStatus, OrderStatus, PaymentStatus, Rejection},
    },
    subscription,
};

use super::{Created, FULFILLMENT, Goods, Order, STATUS};

subscription! {
    /// The events of an order.
    enum Recorded {
        /// It was placed.
        Created(events::contracts::order::Created) by Mark,
        /// Its goods were asked for.
        StockRequested(events::contracts::order::StockRequested) by Mark,
        /// It was pending for too long.
        Stuck(events::contracts::order::Stuck) by Mark,
        /// It was confirmed.
        Confirmed(events::contracts::order::Confirmed) by Mark,
        /// It was rejected.
        Rejected(events::contracts::order::Rejected) by Mark,
        /// It was cancelled.
        Cancelled(events::contracts::order::Cancelled) by Mark,
        /// It was paid, or a part of it.
        Paid(events::contracts::order::Paid) by Mark,
        /// Its goods left the house.
        Shipped(events::contracts::order::Shipped) by Mark,
        /// Its goods arrived.
        Delivered(events::contracts::order::Delivered) by Mark,
    }
}

fn of(order_id: OrderId, id: &str) -> Result<(), Contradiction> {
    must(order_id.to_string() == id, "it is about another order")
}

/// What the order must be once its goods are delivered and all is paid.
fn ends(order: &Order, stated: OrderStatus) -> Result<(), Contradiction> {
    let delivered = order.fulfillment_status == FulfillmentStatus::Delivered;
    let complete = delivered && order.payment_status == PaymentStatus::Paid;
    let status = if complete {
        OrderStatus::Completed
    } else {
        order.status
    };
    must(stated == status, "its status does not follow")
}

fn same_goods(order: &Order, goods: &[Goods]) -> Result<(), Contradiction> {
    let items = order.items.iter();
    let same = items.map(|item| (&item.sku, item.quantity));
    must(
        same.eq(goods.iter().map(|goods| (&goods.sku, goods.quantity))),
        "its goods are not those of the order",
    )
}

fn created(id: &str, event: events::contracts::order::Created) -> Step<Order> {
    let missing = || Contradiction::Says("it does not state all of the order");
    of(event.order_id, id)?;
    must(
        (event.status, event.fulfillment_status)
            == (OrderStatus::Pending, FulfillmentStatus::Unfulfilled),
        "it does not begin",
    )?;
    let lines = event.items.iter().map(|item| item.line_total.decimal());
    must(
        lines.sum::<rust_decimal::Decimal>() == event.totals.subtotal.decimal(),
        "its lines do not add up to the subtotal",
    )?;
    let total = event.totals.subtotal.decimal() + event.totals.tax_amount.decimal();
    must(
        total == event.totals.total.decimal(),
        "subtotal and tax are not the total",
    )?;
    let order = Order {
        order_id: event.order_id,
        order_number: event.order_number,
        customer_id: event.customer_id,
        customer_type: event.customer_type,
        payment_term: event.payment_term.ok_or_else(missing)?,
        country: event.country.ok_or_else(missing)?,
        vat_treatment: event.vat_treatment.ok_or_else(missing)?,
        status: event.status,
        payment_status: event.payment_status,
        fulfillment_status: event.fulfillment_status,
        items: event.items,
        totals: event.totals,
        paid: Money::ZERO,
        stock_requested: false,
        rejection: None,
        quote_id: event.quote_id,
        created_at: event.created_at,
        created_by: event.created_by.ok_or_else(missing)?,
        updated_at: event.created_at,
    };
    Ok((order, event.version.ok_or_else(missing)?))
}

impl Rebuild for Order {
    type Stored = Self;
    const RETENTION: Retention = Created::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let (mut order, recorded) = match (before, recorded) {
            (None, Recorded::Created(event)) => return created(id, event),
            (None, _) => return Err(Contradiction::Says("the first event is not its creation")),
            (Some(_), Recorded::Created(_)) => {
                return Err(Contradiction::Says("it is created twice"));
            }
            (Some(order), recorded) => (order, recorded),
        };
        let (order_id, at, version) = match recorded {
            Recorded::Created(event) => (event.order_id, event.created_at, event.version),
            Recorded::StockRequested(event) => {
                must(!order.stock_requested, "its goods are asked for twice")?;
                must(order.status == OrderStatus::Pending, "it is not pending")?;
                same_goods(&order, &event.items)?;
                order.stock_requested = true;
                (event.order_id, event.requested_at, Some(event.version))
            }
            Recorded::Stuck(event) => {
                must(order.status == OrderStatus::Pending, "it is not pending")?;
                must(
                    (event.awaits == Awaits::Stock) == order.stock_requested,
                    "it waits for something else",
                )?;
                (event.order_id, event.stuck_at, Some(event.version))
            }
            Recorded::Confirmed(event) => {
                STATUS.check(order.status, OrderStatus::Confirmed)?;
                must(order.stock_requested, "its goods were never asked for")?;
                order.status = OrderStatus::Confirmed;
                (event.order_id, event.confirmed_at, Some(event.version))
            }
            Recorded::Rejected(event) => {
                STATUS.check(order.status, OrderStatus::Rejected)?;
                must(
                    (event.reason == Rejection::OutOfStock) == order.stock_requested,
                    "its reason is not what it waited for",
                )?;
                must(
                    (event.amount, event.currency) == (order.totals.total, order.totals.currency),
                    "its amount is not the order's",
                )?;
                order.status = OrderStatus::Rejected;
                order.rejection = Some(event.reason);
                (event.order_id, event.rejected_at, Some(event.version))
            }
            Recorded::Cancelled(event) => {
                STATUS.check(order.status, OrderStatus::Cancelled)?;
                must(
                    event.previous_status == order.status,
                    "it states another status before it",
                )?;
                must(
                    (event.amount, event.currency) == (order.totals.total, order.totals.currency),
                    "its amount is not the order's",
                )?;
                same_goods(&order, &event.items)?;
                must(
                    order.fulfillment_status == FulfillmentStatus::Unfulfilled,
                    "its goods had left the house",
                )?;
                order.status = OrderStatus::Cancelled;
                (event.order_id, event.cancelled_at, Some(event.version))
            }
            Recorded::Paid(event) => {
                let paid = order.paid.plus(event.amount);
                order.paid = paid.map_err(|_| Contradiction::Says("the sums are too large"))?;
                order.payment_status = event.payment_status;
                must(
                    event.outstanding == order.outstanding(),
                    "what is outstanding does not follow from what was paid",
                )?;
                must(
                    (event.payment_status == PaymentStatus::Paid) == event.outstanding.is_zero(),
                    "it is paid if, and only if, nothing is outstanding",
                )?;
                must(
                    event.payment_status != PaymentStatus::Pending || order.paid.is_zero(),
                    "it is pending although something is paid",
                )?;
                must(
                    event.currency == order.totals.currency,
                    "it is in another currency",
                )?;
                ends(&order, event.status)?;
                order.status = event.status;
                (event.order_id, event.paid_at, Some(event.version))
            }
            Recorded::Shipped(event) => {
                FULFILLMENT.check(order.fulfillment_status, FulfillmentStatus::Shipped)?;
                must(
                    order.status == OrderStatus::Confirmed,
                    "it is not confirmed",
                )?;
                must(
                    order.customer_type == CustomerType::B2b
                        || order.payment_status == PaymentStatus::Paid,
                    "a consumer's goods are shipped before they are paid",
                )?;
                same_goods(&order, &event.items)?;
                order.fulfillment_status = FulfillmentStatus::Shipped;
                (event.order_id, event.shipped_at, Some(event.version))
            }
            Recorded::Delivered(event) => {
                FULFILLMENT.check(order.fulfillment_status, FulfillmentStatus::Delivered)?;
                order.fulfillment_status = FulfillmentStatus::Delivered;
                ends(&order, event.status)?;
                order.status = event.status;
                (event.order_id, event.delivered_at, Some(event.version))
            }
        };
        of(order_id, id)?;
        must(order.updated_at <= at, "it happened before the last change")?;
        order.updated_at = at;
        let version = version.ok_or(Contradiction::Says("it states no version"))?;
        Ok((order, version))
    }
}
