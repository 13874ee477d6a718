//! What an audit knows that no domain owns: aggregates and their numbers, events by id, findings, counts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use events::{Envelope, EventId, Priority, Registry, Timestamp};
use outbox::{Item, Key, Outbox, Table, decode_item, log::Row};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    super::{
        Counts, Finding, Kind, LaneSeen, Leftover, Options, Progress, Sources,
        evidence::{Proof, Tables as EvidenceTables, Watched},
    },
    advice,
    reading::Place,
    sequences::Sequences,
};

/// Items read at once.
pub(super) const PAGE: u32 = 200;

/// What is known of an event, to name it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) event_type: String,
    /// `type#id`.
    pub(super) aggregate: String,
    pub(super) sequence: u64,
    pub(super) committed_at: Timestamp,
    pub(super) published_at: Option<Timestamp>,
}

/// An aggregate, as its rows of the log show it, in whatever order they were read.
#[derive(Debug, Default)]
pub(super) struct Aggregate {
    pub(super) sequences: Sequences,
    /// The last event that could be read: its number, its id, and when it was committed.
    pub(super) last: Option<(u64, EventId, Timestamp)>,
    /// The first event that could be read, in the same words.
    pub(super) first: Option<(u64, EventId, Timestamp)>,
    /// From which number on its events are kept for a while only, and how long after their publication.
    pub(super) kept: Option<(u64, Duration)>,
    pub(super) has_state: bool,
}

/// A row of the log, its envelope, and the consumers that show that they handled it.
pub(super) struct Event {
    pub(super) envelope: Envelope,
    pub(super) row: Row,
    pub(super) handled_by: Vec<&'static str>,
}

/// An event that a consumer shows no sign of yet.
pub(super) struct Open {
    /// Which of the watched consumers.
    pub(super) consumer: usize,
    pub(super) event_id: EventId,
    pub(super) proof: Proof,
    pub(super) handled_by: Vec<&'static str>,
    pub(super) published_at: Timestamp,
    pub(super) priority: Priority,
}

pub(super) struct Audit<'a> {
    pub(super) sources: &'a Sources,
    pub(super) options: &'a Options,
    pub(super) progress: &'a mut (dyn FnMut(Progress) + Send),
    /// What is being read.
    pub(super) stage: &'static str,
    pub(super) started_at: Timestamp,
    pub(super) registry: Registry,
    /// Consumers whose evidence is looked for: those that have a lane in the stack.
    pub(super) watched: Vec<Watched>,
    /// The other consumers that this tool knows.
    pub(super) not_deployed: Vec<String>,
    pub(super) evidence_tables: EvidenceTables,
    pub(super) scope: BTreeSet<String>,
    pub(super) counts: Counts,
    pub(super) findings: Vec<Finding>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) lanes: Vec<LaneSeen>,
    pub(super) index: HashMap<EventId, Named>,
    /// The number and id of the first event that tells a fact: type, aggregate, key.
    pub(super) facts: HashMap<(String, String, String), (u64, EventId)>,
    pub(super) aggregates: BTreeMap<String, Aggregate>,
    /// Since when each watched consumer has a lane; nothing of one that has none.
    pub(super) began: Vec<Option<Timestamp>>,
    /// How many events each watched consumer did not handle because they are older than it.
    pub(super) before_consumer: Vec<u64>,
    pub(super) open: Vec<Open>,
    pub(super) parked_events: HashSet<(usize, String)>,
    pub(super) parked_marks: HashSet<Key>,
}

/// An aggregate, the way people write it.
pub(super) fn shown(aggregate: &str) -> String {
    aggregate.replacen('#', "/", 1)
}

/// The type of an aggregate, or the word that another partition begins with.
pub(super) fn kind_of(partition: &str) -> &str {
    partition.split('#').next().unwrap_or_default()
}

/// An attribute that is text.
pub(super) fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name).and_then(Value::as_str)
}

/// Whether an item is the state of its partition's aggregate.
pub(super) fn is_state(item: &Item) -> bool {
    text(item, "sk") == Some("state")
}

/// An item's version; 0 where it has none.
pub(super) fn version(item: &Item) -> u64 {
    item.get("version").and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A span as people say it.
pub(super) fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        sources: &'a Sources,
        options: &'a Options,
        progress: &'a mut (dyn FnMut(Progress) + Send),
    ) -> Self {
        let has_lane = |consumer: &Watched| {
            let name = consumer.stack_name();
            sources.lanes.iter().any(|lane| lane.consumer == name)
        };
        let (watched, others): (Vec<Watched>, Vec<Watched>) =
            sources.watched.iter().cloned().partition(has_lane);
        Self {
            sources,
            options,
            progress,
            stage: "event log",
            started_at: sources.clock.now(),
            registry: Registry::shipped(),
            watched,
            not_deployed: others.iter().map(|one| one.name.to_owned()).collect(),
            evidence_tables: sources.tables.evidence(),
            scope: options
                .scope
                .iter()
                .map(|(kind, id)| format!("{kind}#{id}"))
                .collect(),
            counts: Counts::default(),
            findings: Vec::new(),
            leftovers: Vec::new(),
            lanes: Vec::new(),
            index: HashMap::new(),
            facts: HashMap::new(),
            aggregates: BTreeMap::new(),
            began: Vec::new(),
            before_consumer: Vec::new(),
            open: Vec::new(),
            parked_events: HashSet::new(),
            parked_marks: HashSet::new(),
        }
    }

    /// Whether everything is audited, and sums over all can be compared.
    pub(super) fn is_whole(&self) -> bool {
        self.scope.is_empty()
    }

    /// Whether an aggregate is audited.
    pub(super) fn is_wanted(&self, aggregate: &str) -> bool {
        self.is_whole() || self.scope.contains(aggregate)
    }

    /// The name of a watched consumer.
    pub(super) fn consumer(&self, number: usize) -> &'static str {
        self.watched.get(number).map_or("", |one| one.name)
    }

    /// Where a table's items of the scope stand; `partitions` names those of an aggregate.
    pub(super) fn places<P>(&self, table: &Table, partitions: impl Fn(&str) -> P) -> Vec<Place>
    where
        P: IntoIterator<Item = String>,
    {
        if self.is_whole() {
            return vec![Place::Table(table.clone())];
        }
        let partitions: BTreeSet<String> =
            self.scope.iter().flat_map(|one| partitions(one)).collect();
        partitions
            .into_iter()
            .map(|pk| Place::Partition(table.clone(), pk))
            .collect()
    }

    /// The same where each aggregate of these types has a partition of its own.
    pub(super) fn places_of(&self, table: &Table, kinds: &[&str]) -> Vec<Place> {
        self.places(table, |aggregate| {
            kinds
                .contains(&kind_of(aggregate))
                .then(|| aggregate.to_owned())
        })
    }

    // --- moments ------------------------------------------------------------------------------------------------------

    /// From when on a change may be newer than the reading of the log.
    pub(super) fn moving_since(&self) -> Option<Timestamp> {
        if self.options.settled {
            return None;
        }
        let grace = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        let millis = self.started_at.unix_millis().saturating_sub(grace);
        Some(Timestamp::from_unix_millis(millis).unwrap_or(Timestamp::EPOCH))
    }

    pub(super) fn is_young(&self, moment: Timestamp) -> bool {
        self.moving_since().is_some_and(|since| moment >= since)
    }

    pub(super) fn age(&self, moment: Timestamp) -> Duration {
        self.started_at.since(moment)
    }

    // --- findings -----------------------------------------------------------------------------------------------------

    /// A finding about an event of the log.
    pub(super) fn about(
        &mut self,
        kind: Kind,
        event_id: EventId,
        consumer: Option<&str>,
        stopped: Option<String>,
        what: String,
        advice: &'static str,
    ) {
        let named = self.index.get(&event_id);
        let way = named.map_or_else(
            || "not in the event log".to_owned(),
            |named| match named.published_at {
                Some(at) => format!("committed {}, published {at}", named.committed_at),
                None => format!("committed {}, not published", named.committed_at),
            },
        );
        let stopped = stopped.map_or(way.clone(), |stopped| format!("{way}; {stopped}"));
        let finding = Finding {
            kind,
            event_id: Some(event_id.to_string()),
            event_type: named.map(|named| named.event_type.clone()),
            aggregate: named.map(|named| shown(&named.aggregate)),
            sequence: named.map(|named| named.sequence),
            consumer: consumer.map(str::to_owned),
            stopped,
            what,
            advice,
        };
        self.findings.push(finding);
    }

    /// A finding about an event that no consumer has anything to do with.
    pub(super) fn of_event(
        &mut self,
        kind: Kind,
        event_id: EventId,
        what: String,
        advice: &'static str,
    ) {
        self.about(kind, event_id, None, None, what, advice);
    }

    /// A finding about something else than one event of the log.
    pub(super) fn found(
        &mut self,
        kind: Kind,
        aggregate: Option<&str>,
        sequence: Option<u64>,
        what: String,
        stopped: &str,
        advice: &'static str,
    ) {
        self.findings.push(Finding {
            kind,
            event_id: None,
            event_type: None,
            aggregate: aggregate.map(shown),
            sequence,
            consumer: None,
            stopped: stopped.to_owned(),
            what,
            advice,
        });
    }

    /// A finding about what is stored of an aggregate.
    pub(super) fn of_state(
        &mut self,
        kind: Kind,
        aggregate: &str,
        what: String,
        advice: &'static str,
    ) {
        self.found(kind, Some(aggregate), None, what, "stored state", advice);
    }

    /// Whether something was found by which the log is no measure of anything: a gap, or a fact told twice.
    pub(super) fn log_is_in_doubt(&self) -> bool {
        self.findings.iter().any(|finding| {
            matches!(finding.kind, Kind::OutOfSequence | Kind::Unreadable)
                || finding.advice == advice::TWICE
        })
    }

    /// A row by its type, or a finding.
    pub(super) fn typed<T: DeserializeOwned>(&mut self, table: &Table, item: Item) -> Option<T> {
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let (pk, key) = (place("pk"), table.key(place("pk"), place("sk")));
        match decode_item(&key, item) {
            Ok(row) => Some(row),
            Err(error) => {
                self.unreadable(&pk, &error);
                None
            }
        }
    }

    /// A finding about a row of a partition that cannot be read.
    pub(super) fn unreadable(&mut self, pk: &str, error: &outbox::Error) {
        let what = outbox::chain(error);
        self.found(
            Kind::Unreadable,
            Some(pk),
            None,
            what,
            "a stored item",
            advice::UNREADABLE,
        );
    }

    /// What reads histories as the functions do.
    pub(super) fn outbox(&self) -> Outbox {
        Outbox::new(
            self.sources.store.clone(),
            self.sources.clock.clone(),
            Arc::new(Registry::shipped()),
            self.sources.tables.events.clone(),
            self.sources.tables.marks.clone(),
        )
    }
}
