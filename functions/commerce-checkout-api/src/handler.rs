//! What each endpoint reads, decides and writes.

pub mod carts;
pub mod customers;
pub mod orders;
mod refused;
mod timeline;

use commerce::{operations::Commerce, order::Numbers};
use outbox::{Outbox, Table};

/// The state that the endpoints share.
#[derive(Debug)]
pub struct App {
    outbox: Outbox,
    table: Table,
    numbers: Numbers,
}

impl App {
    /// Creates the state from an outbox and the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        let numbers = Numbers::default();
        Self {
            outbox,
            table,
            numbers,
        }
    }

    fn operations(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}
