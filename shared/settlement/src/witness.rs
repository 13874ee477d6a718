//! Witnesses: a payment or a settlement rebuilt from its events alone, to be compared with what is stored.
//!
//! Every field of the stored state comes from an event, its times from when the events occurred. A history that leaves
//! something out does not come to a state at all: numbers without gaps, transitions without gaps, each from where the one
//! before led.

use events::{DecodeError, Envelope, Sequence};

use crate::{Payment, Settlement, machine::Illegal, payment, settlement};

/// What an aggregate's events come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt<S> {
    /// The state.
    pub state: S,
    /// The version of the item that has it, as the last event says.
    pub version: Sequence,
    /// How many events there are.
    pub events: u64,
}

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
    /// It is about another aggregate.
    #[error("it is about {aggregate}")]
    Other {
        /// Which.
        aggregate: String,
    },
    /// It tells of a transition that the table does not have.
    #[error(transparent)]
    Illegal(Illegal),
    /// It says something else than the events before it.
    #[error("{0}")]
    Says(&'static str),
}

/// What a step of a rebuilding comes to.
pub(crate) type Rebuild<T> = Result<T, Contradiction>;

/// A step of a rebuilding: the state after one more event, with its version.
type Apply<S> = fn(Option<S>, &Envelope) -> Rebuild<(S, Sequence)>;

/// A history that does not come to a state.
#[derive(Debug, thiserror::Error)]
#[error("event {sequence}, {event_type}: {why}")]
pub struct Broken {
    /// The number of the first event that does not follow.
    pub sequence: u64,
    /// Its type.
    pub event_type: String,
    /// Why not.
    #[source]
    pub why: Contradiction,
}

/// Rebuilds a settlement from all its events, in their order; `None` where there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn settlement(events: &[Envelope]) -> Result<Option<Rebuilt<Settlement>>, Broken> {
    fold(events, settlement::apply)
}

/// Rebuilds a payment from all its events, in their order; `None` where there are none.
///
/// # Errors
/// [`Broken`] at the first event that does not follow from those before it.
pub fn payment(events: &[Envelope]) -> Result<Option<Rebuilt<Payment>>, Broken> {
    fold(events, payment::apply)
}

fn fold<S>(events: &[Envelope], apply: Apply<S>) -> Result<Option<Rebuilt<S>>, Broken> {
    let mut rebuilt: Option<Rebuilt<S>> = None;
    let aggregate = events.first().map(Envelope::aggregate);
    for envelope in events {
        let count = rebuilt.as_ref().map_or(0, |so_far| so_far.events);
        let last = rebuilt.as_ref().map(|so_far| so_far.version);
        let state = rebuilt.take().map(|so_far| so_far.state);
        let step = || {
            if envelope.sequence.number() != count + 1 {
                return Err(Contradiction::Gap {
                    expected: count + 1,
                });
            }
            if Some(envelope.aggregate()) != aggregate {
                return Err(Contradiction::Other {
                    aggregate: envelope.aggregate(),
                });
            }
            let (state, version) = apply(state, envelope)?;
            if last.is_some_and(|last| version < last) {
                return Err(Contradiction::Says("its version went back"));
            }
            Ok((state, version))
        };
        let (state, version) = step().map_err(|why| Broken {
            sequence: envelope.sequence.number(),
            event_type: envelope.event_type.to_string(),
            why,
        })?;
        rebuilt = Some(Rebuilt {
            state,
            version,
            events: count + 1,
        });
    }
    Ok(rebuilt)
}
