//! Checks a flow's invariants: no event lost, none done twice, no gap, every event published.

use std::collections::{BTreeMap, BTreeSet};

use consumer::{Outcome, ParkReason};
use events::Evidence;
use outbox::log::LogRow;

use super::{
    DeadLetter, Unsound,
    faults::locked,
    in_order::{Cursors, Order},
    pipeline::{Pipeline, event_id},
};

impl Pipeline {
    pub(super) fn rows(&mut self) -> Vec<LogRow> {
        let mut rows = Vec::new();
        for item in self.memory.items(&self.events) {
            match LogRow::read(item) {
                Ok(row) => rows.push(row),
                Err(name) => {
                    self.findings
                        .insert(format!("a row of the log has no valid {name}"));
                }
            }
        }
        rows
    }

    /// An event that the log records as published must be on the bus, at every moment at which a process can die.
    pub(super) fn look_at_the_log(&mut self) {
        self.collect();
        for row in self.rows() {
            if row.published_at().is_some() && !self.taken.contains(&row.event_id) {
                self.findings.insert(format!(
                    "{} {} is recorded as published, but the bus never took it",
                    row.event_type, row.event_id
                ));
            }
        }
    }

    pub(super) fn letter_ids(&self) -> BTreeSet<(usize, String)> {
        let lanes = locked(&self.lanes);
        let letters = lanes.letters();
        letters
            .map(|(consumer, letter)| (consumer, event_id(letter.body())))
            .collect()
    }

    /// Dead letters of events that need not block their aggregate: the event itself may not have been the cause.
    pub(super) fn vague_letters(&self) -> BTreeSet<(usize, String)> {
        let lanes = locked(&self.lanes);
        let vague = lanes.letters().filter(|(_, letter)| match letter {
            DeadLetter::Parked(letter) => letter.reason == ParkReason::UnavailableTooLong,
            DeadLetter::Exhausted { .. } => true,
        });
        vague
            .map(|(consumer, letter)| (consumer, event_id(letter.body())))
            .collect()
    }

    /// The cursors of the in-order consumers, for every aggregate in the log.
    pub(super) async fn cursors(&mut self) -> Result<Cursors, Unsound> {
        let aggregates: BTreeSet<String> =
            self.rows().into_iter().map(|row| row.aggregate).collect();
        let aggregates: Vec<String> = aggregates.into_iter().collect();
        let mut cursors = Cursors::new();
        for (at, consumer) in self.consumers.iter().enumerate() {
            if !consumer.selection.relies_on(Evidence::Cursor) {
                continue;
            }
            let read = self.calm.outbox.progress_of(consumer.name, &aggregates);
            let read = read.await.map_err(|error| {
                let what = format!("{}: {}", consumer.name, outbox::chain(&error));
                self.unsound(vec![what])
            })?;
            let placed = read.into_iter().map(|progress| {
                let aggregate = progress.aggregate().to_owned();
                ((at, aggregate), progress)
            });
            cursors.extend(placed);
        }
        Ok(cursors)
    }

    pub(super) fn audit(&mut self, cursors: &Cursors) -> Result<(), Unsound> {
        self.look_at_the_log();
        let letters = self.letter_ids();
        let mut order = Order::new(cursors, self.vague_letters());
        let mut findings = self.findings.clone();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for row in self.rows() {
            let (name, id) = (
                format!("{} {}", row.event_type, row.event_id),
                &row.event_id,
            );
            let before = last.insert(row.aggregate.clone(), row.sequence);
            if row.sequence != before.unwrap_or(0) + 1 {
                findings.insert(format!(
                    "{} has a gap before {}",
                    row.aggregate, row.sequence
                ));
            }
            if row.published_at().is_none() && row.failed_at().is_none() {
                findings.insert(format!("{name} was not published"));
            }
            for (at, consumer) in self.consumers.iter().enumerate() {
                let Some(evidence) = consumer.selection.evidence(&row.event_type) else {
                    continue;
                };
                let place = (at, id.clone());
                let outcomes = self.outcomes.get(&place).map_or(&[][..], Vec::as_slice);
                if evidence == Evidence::Cursor {
                    if let Err(wrong) = order.look(at, &row, letters.contains(&place)) {
                        let names: Vec<&str> = outcomes.iter().map(|one| one.as_str()).collect();
                        findings.insert(format!(
                            "{} {wrong}; its outcomes: {}",
                            consumer.name,
                            names.join(", ")
                        ));
                    }
                    continue;
                }
                let handled = outcomes.iter().any(|outcome| {
                    matches!(
                        outcome,
                        Outcome::Done | Outcome::Duplicate | Outcome::Ignored
                    )
                });
                if !handled && !letters.contains(&place) {
                    findings.insert(format!(
                        "{} neither handled {name} nor has its dead letter",
                        consumer.name
                    ));
                }
                let done = outcomes
                    .iter()
                    .filter(|outcome| **outcome == Outcome::Done)
                    .count();
                if done > 1 {
                    findings.insert(format!("{} did {name} {done} times", consumer.name));
                }
            }
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(self.unsound(findings.into_iter().collect()))
        }
    }
}
