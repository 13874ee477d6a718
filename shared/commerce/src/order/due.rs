//! When an order is looked at again: one that is still pending, or that a consumer has not paid.
//!
//! An order has one such row from its placing on. The timer reads the rows whose time has come, oldest first, and removes each of
//! them, or puts it at a later time.

use std::time::Duration;

use events::{OrderId, Timestamp, contracts::customer::CustomerType};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

use super::{FulfillmentStatus, Order, OrderStatus};

/// How long after its placing an order is first looked at. One that is still pending then is stuck.
pub const FIRST_LOOK: Duration = Duration::from_secs(15 * 60);

/// The row by which an order is looked at again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The order.
    pub order_id: OrderId,
    /// When it is looked at.
    pub look_at: Timestamp,
    /// Whether it was named as stuck. It is named once.
    #[serde(default)]
    pub named: bool,
}

impl Due {
    const PARTITION: &'static str = "order_due";

    /// The row's key.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sort = format!("{}#{}", self.look_at, self.order_id);
        table.key(Self::PARTITION, sort)
    }

    /// The rows, those that come first in front, at most `limit`.
    #[must_use]
    pub fn first(table: &Table, limit: u32) -> Query {
        Query::partition(table, Self::PARTITION, limit)
    }
}

/// How long orders may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// How long an order may be pending.
    pub pending: Duration,
    /// How long a consumer may take to pay.
    pub unpaid: Duration,
}

/// What is to be done with an order that is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Overdue {
    /// Nothing, now and later.
    Nothing,
    /// Nothing until then.
    Wait {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// It should not be pending any more: someone must know.
    Stuck {
        /// When it is looked at again.
        until: Timestamp,
    },
    /// It is cancelled.
    Cancel {
        /// Why.
        reason: &'static str,
    },
}

impl Order {
    /// What is to be done with it at this time. `named` says that it was named as stuck already.
    #[must_use]
    pub fn overdue(&self, named: bool, patience: Patience, now: Timestamp) -> Overdue {
        let age = now.since(self.created_at);
        let is_unpaid = self.customer_type == CustomerType::B2c
            && self.fulfillment_status == FulfillmentStatus::Unfulfilled
            && self.paid.is_zero()
            && !self.totals.total.is_zero();
        match self.status {
            OrderStatus::Pending if age >= patience.pending => Overdue::Cancel {
                reason: "credit and stock did not answer in time",
            },
            OrderStatus::Pending => {
                // It may be confirmed until then, and not paid.
                let unpaid = Some(patience.unpaid).filter(|unpaid| is_unpaid && age < *unpaid);
                let soonest = unpaid.unwrap_or(patience.pending).min(patience.pending);
                let until = self.created_at.plus(soonest);
                if named {
                    Overdue::Wait { until }
                } else {
                    Overdue::Stuck { until }
                }
            }
            OrderStatus::Confirmed if is_unpaid && age >= patience.unpaid => Overdue::Cancel {
                reason: "it was not paid in time",
            },
            OrderStatus::Confirmed if is_unpaid => Overdue::Wait {
                until: self.created_at.plus(patience.unpaid),
            },
            OrderStatus::Confirmed
            | OrderStatus::Completed
            | OrderStatus::Rejected
            | OrderStatus::Cancelled => Overdue::Nothing,
        }
    }
}
