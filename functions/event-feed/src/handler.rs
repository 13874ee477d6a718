//! The handler of `event-feed`: gives an event the next position and moves the head, in one transaction.

use std::time::Duration;

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::Retention;
use outbox::{Outbox, Table, Transaction, encode_item};
use views::feed::{FeedRow, Head, Place};

/// The events that the consumer handles, as declared.
pub use topology::functions::event_feed::Event;

/// The consumer `event-feed`.
#[derive(Debug)]
pub struct EventFeed {
    outbox: Outbox,
    table: Table,
    life: Duration,
}

impl EventFeed {
    /// Creates the consumer over its table, which the outbox can read. Rows are kept for `life`.
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
    // Every cursor that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::event_feed::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        let Some(stored) = received.stored.as_deref() else {
            return Err(Failure::park(
                "a row needs the event as the event log holds it",
            ));
        };
        let place = Place::key(&self.table, envelope.event_id);
        // A cursor that was set back (its table was restored from a backup) reaches events that the feed already has.
        // Each is fed only once.
        if self.outbox.row::<Place>(&place).await?.is_some() {
            return Ok(transaction);
        }
        let head = self.outbox.series(Head::key(&self.table)).await?;
        let next = head.last() + 1;
        let row = FeedRow::of(next, envelope, stored, transaction.now(), self.life);
        let (event_type, version) = (
            envelope.event_type.as_str(),
            envelope.event_version.number(),
        );
        let contract = self.outbox.registry().get(event_type, version);
        let is_kept = contract.is_some_and(|one| one.info().retention == Retention::Forever);
        let found_at = Place {
            aggregate: envelope.aggregate(),
            sequence: envelope.sequence.number(),
            position: next,
            expires_at: (!is_kept).then_some(row.expires_at),
        };
        let table = self.table.clone();
        transaction.number(head, move |position| {
            let at = FeedRow::key(&table, position);
            let row = FeedRow {
                position,
                ..row.clone()
            };
            let found_at = Place {
                position,
                ..found_at.clone()
            };
            let (row, found_at) = (encode_item(&at, &row)?, encode_item(&place, &found_at)?);
            Ok(vec![(at, row), (place.clone(), found_at)])
        })?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
