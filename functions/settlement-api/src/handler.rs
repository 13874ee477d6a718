//! What each endpoint reads, decides and writes.

pub mod payments;
mod refused;
pub mod settlements;

use api::Problem;
use events::{PaymentId, SettlementId};
use outbox::{Outbox, Table};
use settlement::{operations::Settlements, selection::Weights};

use self::refused::refused;

/// What the endpoints work on.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
    weights: Weights,
}

impl App {
    /// Over an outbox, with the domain's table and the weights that select a network.
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

/// 404 for a payment.
fn unknown_payment(id: PaymentId) -> Problem {
    Problem::not_found(format!("there is no payment {id}")).with("payment_id", id.to_string())
}

/// 404 for a settlement.
fn unknown_settlement(id: SettlementId) -> Problem {
    Problem::not_found(format!("there is no settlement {id}")).with("settlement_id", id.to_string())
}
