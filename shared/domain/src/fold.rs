//! Folds an aggregate's events into its state.

use events::{Envelope, Sequence};

use crate::{Contradiction, Rebuild, Step};

/// An aggregate rebuilt from its events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt<S> {
    /// The state.
    pub state: S,
    /// The version of the row, as the last event states it.
    pub version: Sequence,
    /// How many events the aggregate itself has, which is the sequence of the last one.
    pub events: u64,
}

/// A history whose events do not follow from one another.
#[derive(Debug, thiserror::Error)]
#[error("event {sequence}, {event_type}: {why}")]
pub struct Broken {
    /// The sequence, in its own aggregate, of the first event that cannot follow.
    pub sequence: u64,
    /// The event's type.
    pub event_type: String,
    /// The event's position among the folded events.
    pub(crate) at: usize,
    /// Why it cannot follow.
    #[source]
    pub why: Contradiction,
}

/// Rebuilds an aggregate from all its events, ordered by sequence; `None` if there are none.
///
/// # Errors
/// [`Broken`] at the first event that cannot follow those before it.
pub fn rebuild<S: Rebuild>(events: &[Envelope]) -> Result<Option<Rebuilt<S>>, Broken> {
    rebuild_each(events, |_, _| {})
}

/// [`rebuild`], which also calls `after` with each event and the state after it.
///
/// # Errors
/// As [`rebuild`].
pub fn rebuild_each<S: Rebuild>(
    events: &[Envelope],
    mut after: impl FnMut(&Envelope, &Rebuilt<S>),
) -> Result<Option<Rebuilt<S>>, Broken> {
    let id = events.first().map(|first| first.aggregate_id.to_string());
    let events: Vec<&Envelope> = events.iter().collect();
    fold(id.as_deref().unwrap_or_default(), &events, |at, rebuilt| {
        if let Some(envelope) = events.get(at) {
            after(envelope, rebuilt);
        }
    })
}

/// Folds events in the order in which they took effect. Calls `after` with the state after each of them.
pub(crate) fn fold<S: Rebuild>(
    id: &str,
    events: &[&Envelope],
    mut after: impl FnMut(usize, &Rebuilt<S>),
) -> Result<Option<Rebuilt<S>>, Broken> {
    let mut rebuilt: Option<Rebuilt<S>> = None;
    for (at, envelope) in events.iter().enumerate() {
        let next = step(id, rebuilt.take(), envelope).map_err(|why| Broken {
            sequence: envelope.sequence.number(),
            event_type: envelope.event_type.to_string(),
            at,
            why,
        })?;
        after(at, &next);
        rebuilt = Some(next);
    }
    Ok(rebuilt)
}

fn step<S: Rebuild>(
    id: &str,
    before: Option<Rebuilt<S>>,
    envelope: &Envelope,
) -> Result<Rebuilt<S>, Contradiction> {
    let (count, last, state) = match before {
        None => (0, None, None),
        Some(before) => (before.events, Some(before.version), Some(before.state)),
    };
    let same_type = envelope.aggregate_type.as_str() == <S::Stored as outbox::State>::AGGREGATE;
    let own = same_type && envelope.aggregate_id.as_str() == id;
    let elsewhere = || S::stated(envelope).iter().any(|(stated, _)| stated == id);
    if own && envelope.sequence.number() != count + 1 {
        return Err(Contradiction::Gap {
            expected: count + 1,
        });
    }
    if !(own || same_type && elsewhere()) {
        return Err(Contradiction::Other {
            aggregate: envelope.aggregate(),
        });
    }
    let applied: Step<S> = S::apply(id, state, envelope);
    let (state, version) = applied?;
    let last = last.map_or(0, Sequence::number);
    if version.number() < last {
        return Err(Contradiction::Says(
            "its version is lower than the one before",
        ));
    }
    // A write can have several events, and every write has at least one.
    if version.number() > last + 1 && !S::SILENT_WRITES {
        return Err(Contradiction::VersionMissing { expected: last + 1 });
    }
    Ok(Rebuilt {
        state,
        version,
        events: count + u64::from(own),
    })
}
