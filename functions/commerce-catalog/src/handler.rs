//! The handler of `commerce-catalog`: a product tells how much of its variants can be sold, whenever the status of that changes.
//!
//! Stocks change with every order, their statuses seldom. The handler does not trust the event for the status: it reads the stock as
//! it is now, so events that come late or in another order change nothing.

use async_trait::async_trait;
use commerce::operations::Commerce;
use consumer::{Failure, Handler, Received};
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::commerce_catalog::Event;

/// The consumer `commerce-catalog`.
#[derive(Debug)]
pub struct CommerceCatalog {
    outbox: Outbox,
    table: Table,
}

impl CommerceCatalog {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for CommerceCatalog {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::commerce_catalog::FUNCTION.name;
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
        let Event::Stock(event) = &received.event;
        commerce
            .tell_stock(&mut transaction, &event.product_id)
            .await?;
        Ok(transaction)
    }
}
