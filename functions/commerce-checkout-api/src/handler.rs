//! What each endpoint reads, decides and writes.

pub mod carts;
pub mod customers;
pub mod orders;
pub mod quotes;
mod refused;
mod timeline;

use commerce::{operations::Commerce, order, quote};
use outbox::{Outbox, Table};

/// The state that the endpoints share.
#[derive(Debug)]
pub struct App {
    outbox: Outbox,
    table: Table,
    numbers: order::Numbers,
    quote_numbers: quote::Numbers,
}

impl App {
    /// Creates the state from an outbox and the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self {
            outbox,
            table,
            numbers: order::Numbers::default(),
            quote_numbers: quote::Numbers::default(),
        }
    }

    fn operations(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}
