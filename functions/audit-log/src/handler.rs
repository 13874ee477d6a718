//! The handler of `audit-log`: appends an event to its aggregate's chain.

use async_trait::async_trait;
use audit_chain::{ChainEntry, Event as Logged, Head, entry_key, head_key};
use consumer::{Failure, Handler, Received};
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::audit_log::Event;

/// The consumer `audit-log`.
#[derive(Debug)]
pub struct AuditLog {
    outbox: Outbox,
    table: Table,
}

impl AuditLog {
    /// Creates the consumer over its table, which the outbox can read.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for AuditLog {
    // Every cursor that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::audit_log::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        let Some(stored) = received.stored.as_deref() else {
            return Err(Failure::park(
                "an entry needs the event as the event log holds it",
            ));
        };
        let aggregate = envelope.aggregate();
        let place = head_key(&self.table, &aggregate);
        let head: Option<Head> = self.outbox.row(&place).await?;
        let event = Logged {
            event_id: &envelope.event_id.to_string(),
            event_type: envelope.event_type.as_str(),
            sequence: envelope.sequence.number(),
            envelope: stored,
        };
        // A cursor that was set back (its table was restored from a backup) reaches events that the chain already has.
        // There is nothing to add.
        let Some(entry) = ChainEntry::next(head.as_ref(), &aggregate, &event, transaction.now())
        else {
            return Ok(transaction);
        };
        let row = entry_key(&self.table, &aggregate, entry.number);
        transaction.insert(row, &entry)?;
        transaction.put(
            place,
            &entry.head(&aggregate),
            Head::unchanged(head.as_ref()),
        )?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
