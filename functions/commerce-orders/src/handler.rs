//! The handler of `commerce-orders`, the only consumer that moves orders: credit is reserved, so the goods are asked for;
//! they are reserved, so the order is confirmed; one of them is refused, so the order is rejected; it is paid.
//!
//! An answer that comes after the order was cancelled changes nothing: credit and stock give back what they hold because of
//! `order.cancelled` itself.

use async_trait::async_trait;
use commerce::operations::Commerce;
use consumer::{Failure, Handler, Received};
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::commerce_orders::Event;

/// The consumer `commerce-orders`.
#[derive(Debug)]
pub struct CommerceOrders {
    outbox: Outbox,
    table: Table,
}

impl CommerceOrders {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for CommerceOrders {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::commerce_orders::FUNCTION.name;
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
        let done = match &received.event {
            Event::Credit(event) => commerce.credit_moved(&mut transaction, event).await,
            Event::Stock(event) => commerce.stock_moved(&mut transaction, event).await,
            Event::Payment(event) => commerce.payment_moved(&mut transaction, event).await,
        };
        // A refusal: the order, its credit and its goods contradict each other.
        done.map(|()| transaction).map_err(Failure::of_operation)
    }
}
