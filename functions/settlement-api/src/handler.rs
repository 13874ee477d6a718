//! What each endpoint reads, decides and writes.

pub mod payments;
mod refused;
pub mod settlements;

use api::Problem;
use events::{PaymentId, SettlementId};
use outbox::{Outbox, Table};
use settlement::{operations::Settlements, selection::Weights};

use self::refused::refused;

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
    weights: Weights,
}

impl App {
    /// Creates the state from an outbox, the domain's table, and the weights for the selection of a network.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, weights: Weights) -> Self {
        Self {
            outbox,
            table,
            weights,
        }
    }

    fn settlements(&self) -> Settlements<'_> {
        Settlements {
            outbox: &self.outbox,
            table: &self.table,
            weights: &self.weights,
        }
    }
}

/// The 404 problem for an unknown payment.
fn unknown_payment(id: PaymentId) -> Problem {
    Problem::not_found(format!("there is no payment {id}")).with("payment_id", id.to_string())
}

/// The 404 problem for an unknown settlement.
fn unknown_settlement(id: SettlementId) -> Problem {
    Problem::not_found(format!("there is no settlement {id}")).with("settlement_id", id.to_string())
}
