//! Compares an aggregate that is rebuilt from its events with the stored one.

use std::{collections::BTreeMap, marker::PhantomData};

use async_trait::async_trait;
use events::{Envelope, Retention};
use outbox::{Error, Item, Key, Outbox, State as _, Table, decode_item};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use crate::{
    History, Rebuild, Rebuilt,
    fold::{Broken, fold},
};

/// How often events and state are read again if a write happened between the two reads.
const READS: u32 = 4;

/// Whether an aggregate matches its events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Verdict {
    /// Every field that the events state is the same on both sides.
    Agrees,
    /// The two sides differ: `parted_at` names the event, `reason` says how.
    Parted,
    /// Cannot be determined, because not all events could be read: some have expired, or there are too many.
    Incomplete,
}

/// One side of a comparison.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Side {
    /// The version of the row.
    pub version: u64,
    /// The sequence of the aggregate's last event.
    pub last_sequence: u64,
    /// The fields of the row, without those that no event states.
    pub state: Map<String, Value>,
}

/// The first event at which the rebuilt and the stored aggregate differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Parted {
    /// The event's sequence, in the history of the aggregate that the event is about.
    pub sequence: u64,
    /// The event's id.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// How the two differ.
    pub reason: String,
}

impl Parted {
    fn at(envelope: &Envelope, reason: impl Into<String>) -> Self {
        Self {
            sequence: envelope.sequence.number(),
            event_id: envelope.event_id.to_string(),
            event_type: envelope.event_type.to_string(),
            reason: reason.into(),
        }
    }
}

/// A comparison of the stored aggregate with the one rebuilt from its events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Witness {
    /// Whether both are the same.
    pub verdict: Verdict,
    /// Why they differ, or why that cannot be determined; null if they agree.
    pub reason: Option<String>,
    /// The first event at which they differ; null if they agree or no event can be named.
    pub parted_at: Option<Parted>,
    /// The names of the fields that differ.
    pub differing: Vec<String>,
    /// The stored aggregate; null if none is stored.
    pub stored: Option<Side>,
    /// The aggregate rebuilt from its events; null if there are no events.
    pub rebuilt: Option<Side>,
    /// The sequence of the first event that is still in the log; null if there is none.
    pub first_sequence: Option<u64>,
    /// How many events were read, events of other aggregates included.
    pub events: usize,
}

impl Witness {
    /// Whether the stored row is newer than the events that were read.
    fn is_ahead(&self) -> bool {
        let of = |side: &Option<Side>| {
            let side = side.as_ref();
            side.map_or((0, 0), |side| (side.version, side.last_sequence))
        };
        let (stored, rebuilt) = (of(&self.stored), of(&self.rebuilt));
        self.verdict == Verdict::Parted && (stored.0 > rebuilt.0 || stored.1 > rebuilt.1)
    }

    fn incomplete(mut self, reason: String) -> Self {
        self.verdict = Verdict::Incomplete;
        self.reason = Some(reason);
        self
    }

    fn parted(mut self, at: Option<Parted>, reason: String) -> Self {
        self.verdict = Verdict::Parted;
        self.reason = Some(reason);
        self.parted_at = at;
        self
    }
}

/// An aggregate that can be rebuilt, independent of its state's type: a line of a [`crate::Domain`].
#[async_trait]
pub trait Witnessed: Send + Sync {
    /// The aggregate's type.
    fn aggregate_type(&self) -> &'static str;

    /// The key of an aggregate's row in the domain's table.
    fn key(&self, table: &Table, id: &str) -> Key;

    /// The id of the aggregate whose row has this key; `None` for another row's key. See [`Rebuild::id_at`].
    fn id_at<'k>(&self, pk: &'k str, sk: &'k str) -> Option<&'k str>;

    /// The ids of the other aggregates of this type that an event changes; see [`Rebuild::stated`].
    fn also_changes(&self, envelope: &Envelope) -> Vec<String>;

    /// Compares the stored row with the state rebuilt from the events. Pure: the caller reads both, the events first.
    fn compare(&self, history: &History, stored: Option<&Item>) -> Witness;

    /// Reads the events of other aggregates that changed this one; see [`Rebuild::elsewhere`].
    ///
    /// # Errors
    /// [`Error`] if the store fails.
    async fn elsewhere(
        &self,
        outbox: &Outbox,
        table: &Table,
        id: &str,
        most: usize,
    ) -> Result<Vec<Envelope>, Error>;
}

/// A line of a domain's list: `&Of::<Payment>::NEW`.
#[derive(Debug)]
pub struct Of<S>(PhantomData<fn() -> S>);

impl<S: Rebuild> Of<S> {
    /// The aggregate with this state.
    pub const NEW: Self = Self(PhantomData);
}

#[async_trait]
impl<S: Rebuild> Witnessed for Of<S> {
    fn aggregate_type(&self) -> &'static str {
        S::Stored::AGGREGATE
    }

    fn key(&self, table: &Table, id: &str) -> Key {
        S::Stored::key(table, id)
    }

    fn id_at<'k>(&self, pk: &'k str, sk: &'k str) -> Option<&'k str> {
        S::id_at(pk, sk)
    }

    fn also_changes(&self, envelope: &Envelope) -> Vec<String> {
        if envelope.aggregate_type.as_str() != S::Stored::AGGREGATE {
            return Vec::new();
        }
        let stated = S::stated(envelope).into_iter().map(|(id, _)| id);
        let other = |id: &String| id != envelope.aggregate_id.as_str();
        stated.filter(other).collect()
    }

    fn compare(&self, history: &History, stored: Option<&Item>) -> Witness {
        compare::<S>(history, stored)
    }

    async fn elsewhere(
        &self,
        outbox: &Outbox,
        table: &Table,
        id: &str,
        most: usize,
    ) -> Result<Vec<Envelope>, Error> {
        S::elsewhere(outbox, table, id, most).await
    }
}

/// Reads an aggregate's events and row and compares them. It reads again if a write happened between the two reads.
/// `None` if there is neither a row nor an event. It reads at most `most` events of the aggregate's own history, and at
/// most as many of other aggregates'.
///
/// # Errors
/// [`Error`] if the store fails.
pub async fn witness(
    aggregate: &dyn Witnessed,
    outbox: &Outbox,
    table: &Table,
    id: &str,
    most: usize,
) -> Result<Option<Witness>, Error> {
    let name = format!("{}#{id}", aggregate.aggregate_type());
    let key = aggregate.key(table, id);
    let mut history = History::of(id, Vec::new());
    let mut reads = 1;
    loop {
        // Reads the events first: a write between the two reads is then in the row but not yet in the events, which
        // `is_ahead` detects.
        history.read_on(outbox, &name, most).await?;
        history.elsewhere = aggregate.elsewhere(outbox, table, id, most).await?;
        let stored = outbox.store().get(&key).await?;
        let witness = aggregate.compare(&history, stored.as_ref());
        if witness.is_ahead() && reads < READS {
            reads += 1;
            continue;
        }
        let has_events = witness.events > 0 || history.unreadable.is_some();
        return Ok((stored.is_some() || has_events).then_some(witness));
    }
}

/// The fields of a row that the events state.
fn fields<S: Rebuild>(row: &S::Stored) -> Map<String, Value> {
    let mut fields = match serde_json::to_value(row) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    fields.retain(|name, value| !value.is_null() && !S::UNRECORDED.contains(&name.as_str()));
    fields
}

fn side<S: Rebuild>(rebuilt: &Rebuilt<S>) -> Side {
    Side {
        version: rebuilt.version.number(),
        last_sequence: rebuilt.events,
        state: fields::<S>(&rebuilt.state.stored()),
    }
}

fn stored_side<S: Rebuild>(id: &str, item: &Item) -> Result<Side, String> {
    let number = |name: &str| {
        let number = item.get(name).and_then(Value::as_u64);
        number.ok_or_else(|| format!("its attribute {name} is missing or not a number"))
    };
    let (version, last_sequence) = (number("version")?, number("last_sequence")?);
    // Only error texts use the table's name, and the caller knows the table.
    let key = S::Stored::key(&Table::domain("stored"), id);
    let row: S::Stored = decode_item(&key, item.clone()).map_err(|error| outbox::chain(&error))?;
    Ok(Side {
        version,
        last_sequence,
        state: fields::<S>(&row),
    })
}

fn compare<S: Rebuild>(history: &History, item: Option<&Item>) -> Witness {
    let events = history.in_order::<S>();
    let mut witness = Witness {
        verdict: Verdict::Agrees,
        reason: None,
        parted_at: None,
        differing: Vec::new(),
        stored: None,
        rebuilt: None,
        first_sequence: history.own.first().map(|first| first.sequence.number()),
        events: events.len(),
    };
    match item.map(|item| stored_side::<S>(&history.aggregate_id, item)) {
        None => {}
        Some(Ok(side)) => witness.stored = Some(side),
        Some(Err(reason)) => {
            return witness.parted(None, format!("the stored row cannot be read: {reason}"));
        }
    }
    if let Some(days) = expired::<S>(history, witness.stored.as_ref()) {
        let left = match witness.first_sequence {
            Some(first) => format!("the first one left is number {first}"),
            None => "none is left".to_owned(),
        };
        return witness.incomplete(format!(
            "its events expire {days} days after publication; {left}"
        ));
    }
    let rebuilt = match fold::<S>(&history.aggregate_id, &events, |_, _| {}) {
        Ok(rebuilt) => rebuilt,
        Err(broken) => return of_broken(witness, &events, &broken),
    };
    witness.rebuilt = rebuilt.as_ref().map(side);
    if let Some(unreadable) = &history.unreadable {
        let reason = format!("event {} cannot be read", unreadable.sequence);
        return witness.parted(Some(unreadable.clone()), reason);
    }
    if history.more {
        let read = history.own.len();
        return witness.incomplete(format!(
            "it has more than {read} events; `rebuilt` covers the first {read}, `millrace audit` compares them all"
        ));
    }
    judge::<S>(witness, &history.aggregate_id, &events)
}

fn of_broken(witness: Witness, events: &[&Envelope], broken: &Broken) -> Witness {
    let at = events.get(broken.at);
    let parted = at.map(|envelope| Parted::at(envelope, broken.why.to_string()));
    witness.parted(parted, broken.to_string())
}

/// The retention of the events in days, if some of them are gone.
fn expired<S: Rebuild>(history: &History, stored: Option<&Side>) -> Option<u16> {
    let Retention::Days(days) = S::RETENTION else {
        return None;
    };
    let last = stored.map_or_else(|| history.last(), |stored| stored.last_sequence);
    let numbers = history.own.iter().map(|one| one.sequence.number());
    // DynamoDB removes expired rows in no particular order.
    let whole = history.more || history.unreadable.is_some() || numbers.eq(1..=last);
    let begins = history
        .own
        .first()
        .is_none_or(|first| first.sequence.number() == 1);
    (!whole || !begins).then_some(days)
}

/// Compares both sides if all events were read and follow from one another.
fn judge<S: Rebuild>(mut witness: Witness, id: &str, events: &[&Envelope]) -> Witness {
    let (stored, rebuilt) = match (&witness.stored, &witness.rebuilt) {
        (None, None) => return witness,
        (None, Some(_)) => {
            let reason = "it has events but no stored row";
            let first = events.first().map(|first| Parted::at(first, reason));
            return witness.parted(first, reason.to_owned());
        }
        (Some(_), None) => {
            let reason = "it has a stored row but no events".to_owned();
            return witness.parted(None, reason);
        }
        (Some(stored), Some(rebuilt)) => (stored.clone(), rebuilt.clone()),
    };
    witness.differing = differing::<S>(&stored, &rebuilt);
    if witness.differing.is_empty() {
        return witness;
    }
    if stored.last_sequence > rebuilt.last_sequence {
        let reason = format!(
            "the stored row counts {} events, the log has {}",
            stored.last_sequence, rebuilt.last_sequence
        );
        return witness.parted(None, reason);
    }
    let words = said(&witness.differing, &stored, &rebuilt);
    let at = first_parting::<S>(&stored, &witness.differing, id, events, &words);
    let reason = at.as_ref().map_or(words, |at| at.reason.clone());
    witness.parted(at, reason)
}

/// The fields that differ, `version` and `last_sequence` included.
fn differing<S: Rebuild>(stored: &Side, rebuilt: &Side) -> Vec<String> {
    let names = stored.state.keys().chain(rebuilt.state.keys());
    let mut differing: Vec<String> = names
        .filter(|name| stored.state.get(*name) != rebuilt.state.get(*name))
        .cloned()
        .collect();
    let newer = stored.version > rebuilt.version && S::SILENT_WRITES;
    if stored.version != rebuilt.version && !newer {
        differing.push("version".to_owned());
    }
    if stored.last_sequence != rebuilt.last_sequence {
        differing.push("last_sequence".to_owned());
    }
    differing.sort();
    differing.dedup();
    differing
}

/// The differing fields as text: `balance is 7, but its events give 5`.
fn said(differing: &[String], stored: &Side, rebuilt: &Side) -> String {
    let value = |side: &Side, name: &String| match name.as_str() {
        "version" => side.version.to_string(),
        "last_sequence" => side.last_sequence.to_string(),
        _ => side
            .state
            .get(name)
            .map_or("absent".to_owned(), Value::to_string),
    };
    let said = differing.iter().map(|name| {
        let (stored, rebuilt) = (value(stored, name), value(rebuilt, name));
        format!("{name} is {stored}, but its events give {rebuilt}")
    });
    said.collect::<Vec<_>>().join("; ")
}

/// The first event that the stored row does not reflect. If the row matches the state before some event, it is that
/// event. Otherwise it is the earliest of the events that gave a differing field its last value.
fn first_parting<S: Rebuild>(
    stored: &Side,
    names: &[String],
    id: &str,
    events: &[&Envelope],
    words: &str,
) -> Option<Parted> {
    let mut behind = None;
    let mut changed: BTreeMap<&String, usize> = BTreeMap::new();
    let mut last: Option<Side> = None;
    let folded = fold::<S>(id, events, |at, rebuilt| {
        let now = side(rebuilt);
        if differing::<S>(stored, &now).is_empty() {
            behind = Some(at + 1);
        }
        for name in names {
            let before = last.as_ref().and_then(|last| last.state.get(name));
            if now.state.get(name) != before {
                changed.insert(name, at);
            }
        }
        last = Some(now);
    });
    if folded.is_err() {
        return None;
    }
    if let Some(event) = behind.and_then(|at| events.get(at)) {
        let reason = format!("the stored row lacks this event and those after it: {words}");
        return Some(Parted::at(event, reason));
    }
    let at = changed.values().min().copied();
    // If only the versions differ, it is the last event: it states the last version.
    let at = at.unwrap_or(events.len().saturating_sub(1));
    events.get(at).map(|event| Parted::at(event, words))
}

#[cfg(test)]
mod tests;
