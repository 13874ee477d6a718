//! What a consumer writes.

use async_trait::async_trait;
use events::{Envelope, Subscription};
use outbox::{GuardedPut, Transaction};

use crate::Failure;

/// An event as a handler gets it.
#[derive(Debug)]
pub struct Received<E> {
    /// Its envelope.
    pub envelope: Envelope,
    /// Its payload, by type.
    pub event: E,
    /// Which try this is, from 1, as far as can be told: waiting as unavailable counts too.
    pub attempt: u32,
    /// The envelope's bytes as they stand in the event log: only where the evidence is a cursor, and so the log was read.
    pub stored: Option<String>,
}

/// A named subscriber.
///
/// One type may use several kinds of evidence, as its [`Subscription`] declares for each event: by *mark* and by *cursor*
/// [`Self::decide`] is called, by *guard* [`Self::project`]. Either may be called again for the same event, on a copy, a retry or a
/// conflict: what makes that harmless is what they return, never what they remember.
#[async_trait]
pub trait Handler: Send + Sync {
    /// The consumer's name: its identity for deduplication, metrics and alarms. Never rename it: every mark ever written
    /// is under this name, and a renamed consumer would do again what it did.
    const NAME: &'static str;

    /// What it listens to.
    type Event: Subscription;

    /// Decides on an event whose evidence is a mark or a cursor: what to write together with it. Returning the transaction
    /// as it came writes the mark, or advances the cursor, alone. By cursor the events of an aggregate come in order.
    ///
    /// # Errors
    /// [`Failure`]; nothing is written then.
    async fn decide(
        &self,
        received: &Received<Self::Event>,
        transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let _ = received;
        Ok(transaction)
    }

    /// The one row that an event whose evidence is a guard states.
    ///
    /// # Errors
    /// [`Failure`]; nothing is written then.
    async fn project(&self, received: &Received<Self::Event>) -> Result<GuardedPut, Failure> {
        Err(Failure::park(format!(
            "{} has no projection of {}",
            Self::NAME,
            received.envelope.event_type
        )))
    }

    /// What must follow the commit before the message is acknowledged: effects outside the store, which are at least once
    /// and need a key of their own, and second looks. Runs after a commit and after "already done", since the first
    /// run may have died in between. Not for events by cursor: a run that dies there would not be made up for.
    ///
    /// # Errors
    /// [`Failure`]; the message comes back and this runs again.
    async fn settle(&self, received: &Received<Self::Event>) -> Result<(), Failure> {
        let _ = received;
        Ok(())
    }
}
