//! Notices to customers about their orders, and about the credit that orders need.
//!
//! A customer is told what concerns the order, not who of the staff cancelled or shipped it.

use askama::Template as _;
use events::{
    Money, Text,
    contracts::{
        credit,
        order::{Cancelled, Confirmed, Created, Item, Rejected, Rejection, Shipped},
    },
};

use super::{Bodies, Head, Page, Rendered, one_line};

const fn head(subject: &'static str) -> Head {
    Head {
        subject,
        link: "/orders",
        link_text: "See your orders",
    }
}

pub(super) const RECEIVED: Head = head("Order Received");
pub(super) const CONFIRMED: Head = head("Order Confirmed");
pub(super) const REJECTED: Head = head("Order Rejected");
pub(super) const CANCELLED: Head = head("Order Cancelled");
pub(super) const SHIPPED: Head = head("Order Shipped");

pub(super) const CREDIT_BLOCKED: Head = Head {
    subject: "Credit Account Blocked",
    link: "/credit",
    link_text: "See your credit",
};

/// A line of an order.
struct Line {
    quantity: u32,
    goods: String,
    total: Money,
}

impl Line {
    /// Events from before products had names state the stock-keeping number only.
    fn of(item: &Item) -> Self {
        let goods = item.name.as_ref().map_or_else(
            || item.sku.to_string(),
            |name| format!("{} ({})", one_line(name.as_str()), item.sku),
        );
        Self {
            quantity: item.quantity,
            goods,
            total: item.line_total,
        }
    }
}

struct ReceivedOrder<'a> {
    order: &'a Created,
    lines: Vec<Line>,
}

pub(super) fn received(page: &Page<'_>, order: &Created) -> Rendered {
    let data = &ReceivedOrder {
        order,
        lines: order.items.iter().map(Line::of).collect(),
    };
    bodies!(
        "order_received.html",
        "order_received.txt",
        ReceivedOrder<'a>,
        page,
        data
    )
}

pub(super) fn confirmed(page: &Page<'_>, data: &Confirmed) -> Rendered {
    bodies!(
        "order_confirmed.html",
        "order_confirmed.txt",
        Confirmed,
        page,
        data
    )
}

struct RejectedOrder<'a> {
    order: &'a Rejected,
    reason: String,
}

pub(super) fn rejected(page: &Page<'_>, order: &Rejected) -> Rendered {
    let data = &RejectedOrder {
        order,
        reason: in_plain_words(order),
    };
    bodies!(
        "order_rejected.html",
        "order_rejected.txt",
        RejectedOrder<'a>,
        page,
        data
    )
}

/// Why an order was rejected. How much credit is left is not in the event.
fn in_plain_words(order: &Rejected) -> String {
    match order.reason {
        Rejection::InsufficientCredit => {
            "the order is more than what is left of your credit".to_owned()
        }
        Rejection::AccountBlocked => "your credit account is blocked".to_owned(),
        Rejection::NoAccount => format!("you have no credit account in {}", order.currency),
        Rejection::OutOfStock => "there are not enough of the goods in stock".to_owned(),
    }
}

struct CancelledOrder<'a> {
    order: &'a Cancelled,
    reason: Option<String>,
}

pub(super) fn cancelled(page: &Page<'_>, order: &Cancelled) -> Rendered {
    let data = &CancelledOrder {
        order,
        reason: on_one_line(order.reason.as_ref()),
    };
    bodies!(
        "order_cancelled.html",
        "order_cancelled.txt",
        CancelledOrder<'a>,
        page,
        data
    )
}

struct ShippedOrder<'a> {
    order: &'a Shipped,
    carrier: Option<String>,
    tracking: Option<String>,
}

pub(super) fn shipped(page: &Page<'_>, order: &Shipped) -> Rendered {
    let data = &ShippedOrder {
        order,
        carrier: on_one_line(order.carrier.as_ref()),
        tracking: on_one_line(order.tracking.as_ref()),
    };
    bodies!(
        "order_shipped.html",
        "order_shipped.txt",
        ShippedOrder<'a>,
        page,
        data
    )
}

struct BlockedCredit<'a> {
    credit: &'a credit::Changed,
    reason: Option<String>,
}

pub(super) fn credit_blocked(page: &Page<'_>, credit: &credit::Changed) -> Rendered {
    let data = &BlockedCredit {
        credit,
        reason: on_one_line(credit.reason.as_ref()),
    };
    bodies!(
        "credit_blocked.html",
        "credit_blocked.txt",
        BlockedCredit<'a>,
        page,
        data
    )
}

fn on_one_line<const MAX: usize>(text: Option<&Text<MAX>>) -> Option<String> {
    text.map(|text| one_line(text.as_str()))
}
