//! An aggregate's events, read from the event log.

use std::collections::BTreeMap;

use events::{Envelope, Registry};
use outbox::{Error, Outbox};

use crate::{Parted, Rebuild, Witnessed};

/// How many events of one aggregate are read for one answer: 100 pages, which takes one to two seconds. `millrace
/// audit` has no deadline and compares longer histories.
pub const MOST_EVENTS: usize = 10_000;

/// How many events one query reads.
const PAGE: u32 = 100;

/// The events of one aggregate.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// The id of the aggregate.
    pub aggregate_id: String,
    /// The aggregate's own events, ordered by sequence.
    pub own: Vec<Envelope>,
    /// Events of other aggregates that changed this one too, in any order; see [`Rebuild::stated`].
    pub elsewhere: Vec<Envelope>,
    /// The first event that cannot be read as an envelope. No event after it was read.
    pub unreadable: Option<Parted>,
    /// Whether the log has more events than the limit allowed to read.
    pub more: bool,
}

impl History {
    /// The complete history of an aggregate, ordered by sequence.
    pub fn of(aggregate_id: impl Into<String>, own: Vec<Envelope>) -> Self {
        Self {
            aggregate_id: aggregate_id.into(),
            own,
            ..Self::default()
        }
    }

    /// The history of every aggregate of a type in a log, by id. The log can be in any order.
    pub fn collect<'e>(
        aggregate: &dyn Witnessed,
        log: impl IntoIterator<Item = &'e Envelope>,
    ) -> BTreeMap<String, Self> {
        let kind = aggregate.aggregate_type();
        let mut histories: BTreeMap<String, Self> = BTreeMap::new();
        for event in log {
            if event.aggregate_type.as_str() == kind {
                let history = entry(&mut histories, event.aggregate_id.as_str());
                history.own.push(event.clone());
            }
            for id in aggregate.also_changes(event) {
                entry(&mut histories, &id).elsewhere.push(event.clone());
            }
        }
        for history in histories.values_mut() {
            history.own.sort_by_key(|event| event.sequence);
        }
        histories
    }

    /// All events in the order in which they took effect: own events by sequence, events of other aggregates by the
    /// version that they state.
    pub(crate) fn in_order<S: Rebuild>(&self) -> Vec<&Envelope> {
        let version = |envelope: &Envelope| {
            let stated = S::stated(envelope).into_iter();
            let of = stated.filter(|(id, _)| *id == self.aggregate_id);
            of.map(|(_, version)| version).next()
        };
        let mut elsewhere: Vec<_> = self
            .elsewhere
            .iter()
            .map(|one| (version(one), one))
            .collect();
        elsewhere.sort_by_key(|(version, _)| *version);
        let mut elsewhere = elsewhere.into_iter().peekable();
        let mut all = Vec::with_capacity(self.own.len() + elsewhere.len());
        for own in &self.own {
            if elsewhere.peek().is_some() {
                let stated = version(own);
                while let Some((_, one)) = elsewhere.next_if(|(version, _)| *version < stated) {
                    all.push(one);
                }
            }
            all.push(own);
        }
        all.extend(elsewhere.map(|(_, one)| one));
        all
    }

    /// The sequence of the aggregate's last own event; 0 if there is none.
    pub(crate) fn last(&self) -> u64 {
        self.own.last().map_or(0, |last| last.sequence.number())
    }

    /// Continues to read after the last event until `most` events are read.
    pub(crate) async fn read_on(
        &mut self,
        outbox: &Outbox,
        aggregate: &str,
        most: usize,
    ) -> Result<(), Error> {
        loop {
            let left = most.saturating_sub(self.own.len());
            if left == 0 {
                let (rows, _) = outbox.rows_after(aggregate, self.last(), 1).await?;
                self.more = !rows.is_empty();
                return Ok(());
            }
            let page = u32::try_from(left).unwrap_or(PAGE).min(PAGE);
            let (rows, more) = outbox.rows_after(aggregate, self.last(), page).await?;
            for row in &rows {
                match Registry::read(row.envelope_json()) {
                    Ok(envelope) => self.own.push(envelope),
                    Err(error) => {
                        self.unreadable = Some(Parted {
                            sequence: row.sequence,
                            event_id: row.event_id.clone(),
                            event_type: row.event_type.clone(),
                            reason: error.to_string(),
                        });
                        return Ok(());
                    }
                }
            }
            if !more {
                return Ok(());
            }
        }
    }
}

fn entry<'h>(histories: &'h mut BTreeMap<String, History>, id: &str) -> &'h mut History {
    let history = histories.entry(id.to_owned());
    history.or_insert_with(|| History::of(id, Vec::new()))
}

/// Reads at most `most` events of an aggregate, ordered by sequence.
///
/// # Errors
/// [`Error`] if the store fails or a row of the log has no envelope.
pub async fn history(
    outbox: &Outbox,
    aggregate_type: &str,
    aggregate_id: &str,
    most: usize,
) -> Result<History, Error> {
    let mut history = History::of(aggregate_id, Vec::new());
    let aggregate = format!("{aggregate_type}#{aggregate_id}");
    history.read_on(outbox, &aggregate, most).await?;
    Ok(history)
}
