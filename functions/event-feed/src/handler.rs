//! What `event-feed` does about an event: gives it the next position and moves the head, in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::Retention;
use outbox::{Outbox, Table, Transaction};
use views::feed::{Head, Place, Row};

/// What the consumer listens to, as its declaration says.
pub use topology::functions::event_feed::Event;

/// The consumer `event-feed`.
#[derive(Debug)]
pub struct EventFeed {
    outbox: Outbox,
    table: Table,
    life: Duration,
}

impl EventFeed {
    /// Over its table, which the outbox reads; rows are kept for so long.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, life: Duration) -> Self {
        Self {
            outbox,
            table,
            life,
        }
    }
}

#[async_trait]
impl Handler for EventFeed {
    // The identity of every cursor it ever writes: never rename it.
    const NAME: &'static str = topology::functions::event_feed::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        let Some(stored) = received.stored.as_deref() else {
            return Err(Failure::park("a row holds what stands in the event log"));
        };
        let place = Place::key(&self.table, envelope.event_id);
        // A cursor that was set back (its table restored from a backup) comes to what the feed has: once is enough.
        if self.outbox.row::<Place>(&place).await?.is_some() {
            return Ok(transaction);
        }
        let head = Head::read(&self.outbox, &self.table).await?;
        let position = head.map_or(0, |head| head.position) + 1;
        let now = transaction.now();
        let row = Row::of(position, envelope, stored, now, self.life);
        let (event_type, version) = (
            envelope.event_type.as_str(),
            envelope.event_version.number(),
        );
        let contract = self.outbox.registry().get(event_type, version);
        let is_kept = contract.is_some_and(|one| one.info().retention == Retention::Forever);
        transaction.insert(Row::key(&self.table, position), &row)?;
        transaction.insert(
            place,
            &Place {
                aggregate: envelope.aggregate(),
                sequence: envelope.sequence.number(),
                position,
                expires_at: (!is_kept).then_some(row.expires_at),
            },
        )?;
        transaction.put(
            Head::key(&self.table),
            &Head { position },
            Head::unchanged(head),
        )?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
