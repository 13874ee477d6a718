//! State from events: the trait that an aggregate implements, and why an event cannot follow those before it.

use std::fmt;

use async_trait::async_trait;
use events::{DecodeError, Envelope, Retention, Sequence};
use outbox::{Error, Outbox, State, Table};

use crate::Illegal;

/// A state that can be rebuilt from its events alone. The fold shares no code with the decisions: it takes what an
/// event states as given, and checks that what an event repeats matches what is already known.
#[async_trait]
pub trait Rebuild: Clone + PartialEq + fmt::Debug + Send + Sync + 'static {
    /// The item that the state is stored as; its `AGGREGATE` is the aggregate's type.
    type Stored: State;

    /// How long the events stay in the log after publication. If they are not kept forever, the state cannot be rebuilt
    /// once they are gone.
    const RETENTION: Retention;

    /// Fields of the row that no event states. Every comparison leaves them out.
    const UNRECORDED: &'static [&'static str] = &[];

    /// Whether the row is also written without an event. If it is, the row can have a newer version than the last event
    /// states.
    const SILENT_WRITES: bool = false;

    /// The id of the aggregate whose stored item has this key; `None` for the key of another item. It is the inverse of
    /// [`State::key`], for a reader of whole tables.
    #[must_use]
    fn id_at<'k>(pk: &'k str, sk: &'k str) -> Option<&'k str> {
        let id = pk
            .strip_prefix(Self::Stored::AGGREGATE)?
            .strip_prefix('#')?;
        (sk == "state").then_some(id)
    }

    /// The state after one more event, and the row version that the event states. `id` is the aggregate's id.
    ///
    /// # Errors
    /// [`Contradiction`] if the event cannot follow those before it.
    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self>;

    /// The state as it is stored.
    fn stored(&self) -> Self::Stored;

    /// Every aggregate of this type that an event changes, with its version after the event. Only for aggregates that
    /// also change by events of another aggregate: a transfer is an event of the sender's account and changes both
    /// accounts.
    #[must_use]
    fn stated(envelope: &Envelope) -> Vec<(String, Sequence)> {
        let _ = envelope;
        Vec::new()
    }

    /// Reads the events of other aggregates that changed this one. It reads at most `most` events of the log to find
    /// them. Events that it does not find appear as missing versions.
    ///
    /// # Errors
    /// [`Error`] if the store fails.
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

/// The result of applying one more event: the state and the version of its row.
pub type Step<S> = Result<(S, Sequence), Contradiction>;

/// Why an event cannot follow those before it.
#[derive(Debug, thiserror::Error)]
pub enum Contradiction {
    /// The event cannot be read.
    #[error(transparent)]
    Unreadable(#[from] DecodeError),
    /// The event's sequence is not the next one.
    #[error("event {expected} is missing")]
    Gap {
        /// The expected sequence.
        expected: u64,
    },
    /// No event states this version of the aggregate.
    #[error("no event states version {expected}")]
    VersionMissing {
        /// The version after the last one that an event states.
        expected: u64,
    },
    /// The event is about another aggregate.
    #[error("it is about {aggregate}")]
    Other {
        /// The aggregate that the event is about.
        aggregate: String,
    },
    /// The event states a transition that is not in the table.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// The event contradicts the events before it.
    #[error("{0}")]
    Says(&'static str),
}

/// Refuses an event that contradicts the events before it. `words` says why, for people.
///
/// # Errors
/// [`Contradiction::Says`] if `holds` is false.
pub fn must(holds: bool, words: &'static str) -> Result<(), Contradiction> {
    if holds {
        Ok(())
    } else {
        Err(Contradiction::Says(words))
    }
}
