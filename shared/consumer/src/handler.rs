//! The part that a consumer implements.

use async_trait::async_trait;
use events::{Envelope, Subscription};
use outbox::{GuardedPut, Transaction};

use crate::Failure;

/// An event, as the runtime passes it to a handler.
#[derive(Debug)]
pub struct Received<E> {
    /// The event's envelope.
    pub envelope: Envelope,
    /// The event's payload, typed.
    pub event: E,
    /// The number of this attempt, from 1. It is an estimate, and attempts that ended as unavailable count too.
    pub attempt: u32,
    /// The envelope's bytes as the event log stores them. Present only if the evidence is a cursor, because only then
    /// is the log read.
    pub stored: Option<String>,
}

/// A named subscriber.
///
/// One handler can use several kinds of evidence; its [`Subscription`] declares the kind for each event. For *mark* and
/// *cursor* the runtime calls [`Self::decide`], for *guard* [`Self::project`]. The runtime can call either again for
/// the same event, after a copy, a retry or a conflict. What they return makes that harmless; they must not rely on
/// anything that they remember.
#[async_trait]
pub trait Handler: Send + Sync {
    /// The consumer's name: its identity for deduplication, metrics and alarms. Never rename it. Every mark is written
    /// under this name, so a renamed consumer would handle every event again.
    const NAME: &'static str;

    /// The events that the consumer subscribes to.
    type Event: Subscription;

    /// Decides on an event whose evidence is a mark or a cursor: adds to the transaction what to write together with
    /// the evidence. If the transaction is returned unchanged, only the mark is written or the cursor advanced. By
    /// cursor, the events of an aggregate come in order.
    ///
    /// # Errors
    /// [`Failure`] when the event cannot be handled; nothing is written.
    async fn decide(
        &self,
        received: &Received<Self::Event>,
        transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let _ = received;
        Ok(transaction)
    }

    /// Returns the one row that follows from an event whose evidence is a guard.
    ///
    /// # Errors
    /// [`Failure`] when the event cannot be handled; nothing is written.
    async fn project(&self, received: &Received<Self::Event>) -> Result<GuardedPut, Failure> {
        Err(Failure::park(format!(
            "{} has no projection of {}",
            Self::NAME,
            received.envelope.event_type
        )))
    }

    /// Does what must follow the commit before the message is acknowledged: follow-up checks, and effects outside the
    /// store, which happen at least once and need an idempotency key of their own. It runs after a commit and after
    /// "already done", because an earlier run can have died in between. It does not run for events by cursor: if the
    /// process died there, no later run would repeat it.
    ///
    /// # Errors
    /// [`Failure`] when it did not succeed; the message comes back and this runs again.
    async fn after_commit(&self, received: &Received<Self::Event>) -> Result<(), Failure> {
        let _ = received;
        Ok(())
    }
}
