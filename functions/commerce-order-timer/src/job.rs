//! The job: looks at the orders whose time has come, at the quotes whose time is over, and at the price lists whose time begins or ends.
//!
//! An order that is still pending after 15 minutes is named: by `order.stuck`, in the run's record, and by the metric `OrdersStuck`. It is cancelled
//! when it is pending for too long, and so is the confirmed order of a consumer who has paid nothing in time. Credit and goods come
//! back by the event of the cancellation, as always.
//!
//! A quote that is still open when its time is over expires. It could not be accepted any more before that, either.
//!
//! That a price list began or ended is told, so that carts follow. What is calculated has its prices by the time alone.

use std::fmt;

use async_trait::async_trait;
use commerce::{
    operations::{Commerce, LIST_LOOK_ITEMS},
    order::{Due, Overdue, Patience},
};
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use domain::Stopped;
use events::{Timestamp, contracts::price::ListChange};
use outbox::{Outbox, Table, Transaction};
use telemetry::metrics::Counter;

/// The orders of a page. Each is at most four items, beside the mark and the lease.
const ORDERS_PER_PAGE: u32 = 20;

/// The quotes of a page. Each is at most three items: the quote, its event, and the row of its end.
const QUOTES_PER_PAGE: u32 = 4;

// Price lists come one to a page: two of them can be for the same customers, and rewrite the same rows.
const _: () = assert!(
    (ORDERS_PER_PAGE * 4 + QUOTES_PER_PAGE * 3 + LIST_LOOK_ITEMS) as usize + 2
        <= outbox::MAX_TRANSACTION_ITEMS
);

/// The job `commerce-order-timer`.
#[derive(Debug)]
pub struct OrderTimer {
    outbox: Outbox,
    table: Table,
    patience: Patience,
}

impl OrderTimer {
    /// Creates the job over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, patience: Patience) -> Self {
        Self {
            outbox,
            table,
            patience,
        }
    }

    fn commerce(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}

/// A page that cannot be done. A refusal says that an order, a quote or a price list and its row contradict each other.
fn failed<R: fmt::Display>(stopped: Stopped<R>) -> Failure {
    match stopped {
        Stopped::Refused(refusal) => Failure::retry(refusal.to_string()),
        Stopped::Failed(error) => error.into(),
    }
}

#[async_trait]
impl schedule::Job for OrderTimer {
    const NAME: &'static str = topology::functions::commerce_order_timer::FUNCTION.name;
    const METRICS: &'static [(&'static str, Counter)] = &[("stuck", Counter::OrdersStuck)];
    /// Nothing: what is looked at is removed from what is due.
    type Cursor = ();

    async fn has_work(&self, now: Timestamp) -> Result<bool, Failure> {
        let first = Due::first(&self.table, 1);
        let (rows, _) = self.outbox.rows::<Due>(&first).await?;
        let has_orders = rows.iter().any(|due| due.look_at <= now);
        let commerce = self.commerce();
        Ok(has_orders
            || commerce.has_quotes_due(now).await?
            || commerce.has_price_lists_due(now).await?)
    }

    async fn page(
        &self,
        _: Option<&()>,
        mut transaction: Transaction,
    ) -> Result<Paged<()>, Failure> {
        let commerce = self.commerce();
        let looked = commerce
            .look_at_due(&mut transaction, self.patience, ORDERS_PER_PAGE)
            .await;
        let (found, more_orders) = looked.map_err(failed)?;
        let expired = commerce
            .expire_quotes(&mut transaction, QUOTES_PER_PAGE)
            .await;
        let (expired, more_quotes) = expired.map_err(failed)?;
        let looked = commerce.look_at_price_list(&mut transaction).await;
        let (list, more_lists) = looked.map_err(failed)?;
        let more = more_orders || more_quotes || more_lists;
        let next = if more { Next::From(()) } else { Next::End };
        let mut page = Paged::new(transaction, next);
        for (order, overdue) in found {
            let number = order.order_number();
            page = match overdue {
                Overdue::Stuck { .. } => {
                    let (id, since) = (order.order_id(), order.created_at());
                    tracing::warn!(order_id = %id, %since, "an order is stuck");
                    page.count("stuck", 1)
                        .note(format!("{number} ({id}) has been pending since {since}"))
                }
                Overdue::Cancel { reason } => page
                    .count("cancelled", 1)
                    .note(format!("{number} is cancelled: {reason}")),
                Overdue::Wait { .. } => page.count("waiting", 1),
                Overdue::Nothing => page,
            };
        }
        for quote in expired {
            tracing::info!(quote_id = %quote.quote_id(), "a quote expired");
            page = page.count("expired", 1);
        }
        if let Some((list, what)) = list {
            let ended = what == ListChange::Ended;
            let name = if ended { "ended" } else { "began" };
            tracing::info!(price_list_id = %list.price_list_id(), "a price list {name}");
            page = page.count(name, 1);
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
