//! State from events: what an aggregate implements, and why an event does not follow from those before it.

use std::fmt;

use async_trait::async_trait;
use events::{DecodeError, Envelope, Retention, Sequence};
use outbox::{Error, Outbox, State, Table};

use crate::Illegal;

/// A state that its events alone come to. The fold shares no step with the decisions: what an event says is taken as it is,
/// and what it says again must be what was known.
#[async_trait]
pub trait Rebuild: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The item that the state is stored as; its `AGGREGATE` is the aggregate's type.
    type Row: State;

    /// How long the events stay in the log once published. What is not kept for ever cannot be rebuilt once it is gone.
    const RETENTION: Retention;

    /// Fields of the row that no event states: they are left out of every comparison.
    const UNTOLD: &'static [&'static str] = &[];

    /// Whether the row is also written without an event: then it may be newer than the last event says.
    const SILENT_WRITES: bool = false;

    /// The state after one more event, and the version of the row that the event states. `id` is the aggregate's.
    ///
    /// # Errors
    /// [`Contradiction`] when the event does not follow from those before it.
    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self>;

    /// The state as its row.
    fn row(&self) -> Self::Row;

    /// Every aggregate of this type that an event states, with the version it has after it. Only for aggregates whose state
    /// changes by events of another one, too: a transfer stands in the giver's history and changes both accounts.
    #[must_use]
    fn stated(envelope: &Envelope) -> Vec<(String, Sequence)> {
        let _ = envelope;
        Vec::new()
    }

    /// Reads the events of other aggregates that changed this one, at most `most` events of the log on the way to them.
    /// Those that are not found are missing versions.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    async fn elsewhere(
        outbox: &Outbox,
        table: &Table,
        id: &str,
        most: usize,
    ) -> Result<Vec<Envelope>, Error> {
        let (_, _, _, _) = (outbox, table, id, most);
        Ok(Vec::new())
    }
}

/// What one more event comes to: the state and the version of its row.
pub type Step<S> = Result<(S, Sequence), Contradiction>;

/// Why an event does not follow from those before it.
#[derive(Debug, thiserror::Error)]
pub enum Contradiction {
    /// It cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// Its number is not the next one.
    #[error("the number {expected} is missing")]
    Gap {
        /// The next number.
        expected: u64,
    },
    /// No event states this version of the aggregate.
    #[error("no event states version {expected}")]
    VersionMissing {
        /// The version after the last one.
        expected: u64,
    },
    /// It is about another aggregate.
    #[error("it is about {aggregate}")]
    Other {
        /// Which.
        aggregate: String,
    },
    /// It tells of a transition that the table does not have.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// It says something else than the events before it.
    #[error("{0}")]
    Says(&'static str),
}

/// Refuses an event that says something else than the events before it, in `words` for people.
///
/// # Errors
/// [`Contradiction::Says`] where it does not hold.
pub fn must(holds: bool, words: &'static str) -> Result<(), Contradiction> {
    if holds {
        Ok(())
    } else {
        Err(Contradiction::Says(words))
    }
}
