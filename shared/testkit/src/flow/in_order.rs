//! What must hold where the evidence is a cursor.

use std::collections::{BTreeMap, BTreeSet};

use outbox::{Progress, log::Row};

/// By consumer and aggregate.
pub(crate) type Cursors = BTreeMap<(usize, String), Progress>;

/// A look at the events of all aggregates, each aggregate's in sequence.
pub(crate) struct Order<'a> {
    cursors: &'a Cursors,
    /// By consumer and event id: letters that stand for whatever comes after their event, too.
    vague: BTreeSet<(usize, String)>,
    /// Aggregates with an event so far that answers for what is not handled after it.
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

    /// One event that the consumer listens to.
    pub(crate) fn look(&mut self, consumer: usize, row: &Row, letter: bool) -> Result<(), String> {
        let name = format!("{} {}", row.event_type, row.event_id);
        let place = (consumer, row.aggregate.clone());
        let Some(progress) = self.cursors.get(&place) else {
            return Err(format!("has no cursor over {}", row.aggregate));
        };
        let (position, blocked) = (progress.position(), progress.blocked());
        if self.vague.contains(&(consumer, row.event_id.clone())) {
            self.answered_for.insert(place.clone());
        }
        if row.sequence <= position {
            return match blocked {
                Some(blocked) if blocked.sequence <= position => {
                    Err(format!("handled {name} and is blocked by what it handled"))
                }
                _ => Ok(()),
            };
        }
        // From here on: not handled.
        if self.answered_for.contains(&place) {
            return Ok(());
        }
        if !letter {
            return Err(format!(
                "neither handled {name} nor has a letter of it or of one before it: its cursor is at {position}, {}",
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
                "has a letter of {name}, and {} does not wait for it",
                row.aggregate
            )),
        }
    }
}
