//! What each endpoint reads, decides and writes.

pub mod payments;
mod refused;
pub mod settlements;

use api::{Decision, Failure, Problem};
use events::{Envelope, PaymentId, Registry, SettlementId};
use outbox::{Entity, Error, Outbox, Table};
use settlement::{Payment, selection::Weights, settlement::Row};

use self::refused::refused;

/// What the endpoints work on.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
    weights: Weights,
}

type Decided<A> = Result<Decision<A, Problem>, Failure>;

/// How many events of an aggregate are read at once.
const HISTORY_PAGE: u32 = 100;

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

    async fn payment(&self, id: PaymentId) -> Result<Entity<Payment>, Error> {
        self.outbox.load(&self.table, &id.to_string()).await
    }

    async fn settlement(&self, id: SettlementId) -> Result<Entity<Row>, Error> {
        self.outbox.load(&self.table, &id.to_string()).await
    }

    /// All events of an aggregate, page after page; `Err` inside where one cannot be read.
    async fn history(&self, aggregate: &str) -> Result<Result<Vec<Envelope>, String>, Error> {
        let mut envelopes = Vec::new();
        let mut position = 0;
        loop {
            let page = self
                .outbox
                .rows_after(aggregate, position, HISTORY_PAGE)
                .await?;
            let (rows, more) = page;
            for row in &rows {
                match Registry::read(row.envelope_json()) {
                    Ok(envelope) => envelopes.push(envelope),
                    Err(error) => return Ok(Err(format!("event {}: {error}", row.sequence))),
                }
                position = row.sequence;
            }
            if !more {
                return Ok(Ok(envelopes));
            }
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
