//! The handler of `commerce-credit`: reserves credit for the order of a business or refuses it, gives it back when the order
//! is rejected or cancelled, makes a debt of it when the goods are shipped, and takes from it what was paid in another way. The orders of consumers need no credit.

use async_trait::async_trait;
use commerce::{
    credit::{Asked, Refusal},
    operations::{Commerce, CreditStopped},
};
use consumer::{Failure, Handler, Received};
use events::contracts::customer::CustomerType;
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::commerce_credit::Event;

/// The consumer `commerce-credit`.
#[derive(Debug)]
pub struct CommerceCredit {
    outbox: Outbox,
    table: Table,
}

impl CommerceCredit {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for CommerceCredit {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::commerce_credit::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let commerce = Commerce {
            outbox: &self.outbox,
            table: &self.table,
        };
        let business = CustomerType::B2b;
        let done = match &received.event {
            Event::Created(event) if event.customer_type == business => {
                let (amount, currency) = (event.totals.total, event.totals.currency);
                let asked = Asked::new(event.order_id, &event.customer_id, amount, currency);
                commerce.reserve_credit(&mut transaction, asked).await
            }
            Event::Rejected(event) if event.customer_type == business => {
                let (amount, currency) = (event.amount, event.currency);
                let asked = Asked::new(event.order_id, &event.customer_id, amount, currency);
                commerce.restore_credit(&mut transaction, asked).await
            }
            Event::Cancelled(event) if event.customer_type == business => {
                let (amount, currency) = (event.amount, event.currency);
                let asked = Asked::new(event.order_id, &event.customer_id, amount, currency);
                commerce.restore_credit(&mut transaction, asked).await
            }
            Event::Shipped(event) if event.customer_type == business => {
                commerce.owe_credit(&mut transaction, event.order_id).await
            }
            Event::Paid(event) if event.customer_type == business && !event.on_account => {
                commerce
                    .pay_otherwise(&mut transaction, event.order_id, event.amount)
                    .await
            }
            Event::Created(_)
            | Event::Rejected(_)
            | Event::Cancelled(_)
            | Event::Shipped(_)
            | Event::Paid(_) => Ok(()),
        };
        done.map(|()| transaction).map_err(|stopped| match stopped {
            // The payment has overtaken the order.
            CreditStopped::Refused(undecided @ Refusal::Undecided { .. }) => {
                Failure::retry(undecided.to_string())
            }
            // Any other refusal: the order and its credit contradict each other.
            other => Failure::of_operation(other),
        })
    }
}
