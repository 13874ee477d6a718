//! The invariants of consumers whose evidence is a cursor.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{Progress, log::LogRow};

/// By consumer and aggregate.
pub(crate) type Cursors = BTreeMap<(usize, String), Progress>;

/// Checks the events of all aggregates. Call it for each aggregate's events in sequence.
pub(crate) struct Order<'a> {
    cursors: &'a Cursors,
    /// By consumer and event id: dead letters that may also stand for later events of the aggregate.
    vague: BTreeSet<(usize, String)>,
    /// Aggregates with a dead letter that explains why later events are not handled.
    answered_for: BTreeSet<(usize, String)>,
}

impl<'a> Order<'a> {
    pub(crate) fn new(cursors: &'a Cursors, vague: BTreeSet<(usize, String)>) -> Self {
        Self {
            cursors,
            vague,
            answered_for: BTreeSet::new(),
        }
    }

    /// Checks one event that the consumer subscribes to.
    pub(crate) fn look(
        &mut self,
        consumer: usize,
        row: &LogRow,
        letter: bool,
    ) -> Result<(), String> {
        let name = format!("{} {}", row.event_type, row.event_id);
        let place = (consumer, row.aggregate.clone());
        let Some(progress) = self.cursors.get(&place) else {
            return Err(format!("has no cursor for {}", row.aggregate));
        };
        let (position, blocked) = (progress.position(), progress.blocked());
        if self.vague.contains(&(consumer, row.event_id.clone())) {
            self.answered_for.insert(place.clone());
        }
        if row.sequence <= position {
            return match blocked {
                Some(blocked) if blocked.sequence <= position => Err(format!(
                    "handled {name} and is blocked by an event that it has handled"
                )),
                _ => Ok(()),
            };
        }
        // From here on, the event is not handled.
        if self.answered_for.contains(&place) {
            return Ok(());
        }
        if !letter {
            return Err(format!(
                "neither handled {name} nor has its dead letter or that of an earlier event: its cursor is at {position}, {}",
                blocked.map_or("not blocked".to_owned(), |one| format!(
                    "blocked by {}",
                    one.sequence
                ))
            ));
        }
        self.answered_for.insert(place);
        match blocked {
            Some(blocked) if blocked.sequence == row.sequence => Ok(()),
            _ => Err(format!(
                "has a dead letter for {name}, but {} is not blocked by it",
                row.aggregate
            )),
        }
    }
}
