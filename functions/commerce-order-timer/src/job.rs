//! The job: looks at the orders whose time has come.
//!
//! An order that is still pending after 15 minutes is named: by `order.stuck`, in the run's record, and by the metric `OrdersStuck`. It is cancelled
//! when it is pending for too long, and so is the confirmed order of a consumer who has paid nothing in time. Credit and goods come
//! back by the event of the cancellation, as always.

use async_trait::async_trait;
use commerce::{
    operations::Commerce,
    order::{Due, Overdue, Patience},
};
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use events::Timestamp;
use outbox::{Outbox, Table, Transaction};
use telemetry::metrics::Counter;

/// The orders of a page. Each is at most four items, beside the mark and the lease.
const PAGE: u32 = 20;

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
        Ok(rows.iter().any(|due| due.look_at <= now))
    }

    async fn page(
        &self,
        _: Option<&()>,
        mut transaction: Transaction,
    ) -> Result<Paged<()>, Failure> {
        let commerce = Commerce {
            outbox: &self.outbox,
            table: &self.table,
        };
        let looked = commerce
            .look_at_due(&mut transaction, self.patience, PAGE)
            .await;
        let (found, more) = match looked {
            Ok(looked) => looked,
            // An order and its row contradict each other.
            Err(domain::Stopped::Refused(refusal)) => {
                return Err(Failure::retry(refusal.to_string()));
            }
            Err(domain::Stopped::Failed(error)) => return Err(error.into()),
        };
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
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
