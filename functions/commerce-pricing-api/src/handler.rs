//! What each endpoint reads, decides and writes.

pub mod calculations;
pub mod price_lists;
mod refused;
pub mod settings;

use commerce::operations::Commerce;
use outbox::{Outbox, Table};

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
}

impl App {
    /// Creates the state from an outbox and the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    fn operations(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}
