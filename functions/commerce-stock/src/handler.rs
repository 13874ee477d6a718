//! The handler of `commerce-stock`: reserves the goods of an order, all of them or none, gives them back when the order is
//! cancelled, and takes them off the stock when they are shipped.
//!
//! It need not listen to rejected orders: an order is rejected before its goods are asked for, or because none was reserved.

use async_trait::async_trait;
use commerce::operations::Commerce;
use consumer::{Failure, Handler, Received};
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::commerce_stock::Event;

/// The consumer `commerce-stock`.
#[derive(Debug)]
pub struct CommerceStock {
    outbox: Outbox,
    table: Table,
}

impl CommerceStock {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for CommerceStock {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::commerce_stock::FUNCTION.name;
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
            Event::Requested(event) => {
                let goods = event.items.clone();
                commerce
                    .reserve_stock(&mut transaction, event.order_id, goods)
                    .await
            }
            Event::Cancelled(event) => {
                let goods = event.items.clone();
                commerce
                    .release_stock(&mut transaction, event.order_id, goods)
                    .await
            }
            Event::Shipped(event) => commerce.ship_stock(&mut transaction, event.order_id).await,
        };
        // A refusal: the order, its credit and its goods contradict each other.
        done.map(|()| transaction).map_err(Failure::of_operation)
    }
}
