//! Alerts for admins.

use askama::Template as _;
use events::contracts::{
    alert::TreasuryBackingLow,
    cloud::SyncDiverged,
    order::{Awaits, Stuck},
};

use super::{Bodies, Head, Page, Rendered, one_line, to_the_minute};

pub(super) const BACKING_LOW: Head = Head {
    subject: "$CLOUD Backing Below 100 %",
    link: "/cloud",
    link_text: "Open $CLOUD",
};

pub(super) const SYNC_DIVERGED: Head = Head {
    subject: "$CLOUD Balance Sync Diverged",
    link: "/admin/cloud/reconciliation",
    link_text: "Open the reconciliation",
};

pub(super) const ORDER_STUCK: Head = Head {
    subject: "Order Stuck",
    link: "/admin/orders",
    link_text: "Open the orders",
};

pub(super) fn backing_low(page: &Page<'_>, data: &TreasuryBackingLow) -> Rendered {
    bodies!(
        "backing_low.html",
        "backing_low.txt",
        TreasuryBackingLow,
        page,
        data
    )
}

struct Diverged<'a> {
    member: String,
    diverged: &'a SyncDiverged,
    difference_usd: String,
    last_synced: String,
}

pub(super) fn sync_diverged(page: &Page<'_>, diverged: &SyncDiverged) -> Rendered {
    let data = &Diverged {
        member: one_line(diverged.member_name.as_str()),
        diverged,
        difference_usd: dollars(diverged.difference_usd.as_str()),
        last_synced: diverged
            .last_synced_at
            .map_or_else(|| "never".to_owned(), to_the_minute),
    };
    bodies!(
        "sync_diverged.html",
        "sync_diverged.txt",
        Diverged<'a>,
        page,
        data
    )
}

struct StuckOrder<'a> {
    order: &'a Stuck,
    /// What has not answered.
    awaits: &'static str,
    since: String,
}

pub(super) fn order_stuck(page: &Page<'_>, order: &Stuck) -> Rendered {
    let data = &StuckOrder {
        order,
        awaits: match order.awaits {
            Awaits::Credit => "credit",
            Awaits::Stock => "stock",
        },
        since: to_the_minute(order.created_at),
    };
    bodies!(
        "order_stuck.html",
        "order_stuck.txt",
        StuckOrder<'a>,
        page,
        data
    )
}

/// An amount of dollars as people write it, with the sign before the symbol.
fn dollars(text: &str) -> String {
    match text.strip_prefix('-') {
        Some(amount) => format!("-${amount}"),
        None => format!("${text}"),
    }
}
