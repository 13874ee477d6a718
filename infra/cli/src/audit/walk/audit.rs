//! The state of an audit that no domain owns: aggregates and their numbers, events by id, findings, counts.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use events::{Envelope, EventId, Priority, Registry, Timestamp};
use outbox::{Item, Key, Outbox, Table, decode_item, log::LogRow};
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{
    super::{
        Counts, Finding, Kind, LaneSeen, Leftover, LettersSeen, Options, Progress, Sources,
        evidence::{CheckedConsumer, EvidenceTables, Proof},
    },
    advice,
    reading::Place,
    sequences::Sequences,
};

/// How many items are read at once.
pub(super) const PAGE: u32 = 200;

/// What a finding about an event needs to know of it.
#[derive(Debug, Clone)]
pub(super) struct Named {
    pub(super) event_type: String,
    /// `type#id`.
    pub(super) aggregate: String,
    pub(super) sequence: u64,
    pub(super) committed_at: Timestamp,
    pub(super) published_at: Option<Timestamp>,
}

/// An aggregate as its rows of the log show it. The rows may be read in any order.
#[derive(Debug, Default)]
pub(super) struct Aggregate {
    pub(super) sequences: Sequences,
    /// The last readable event: its number, its id, and when it was committed.
    pub(super) last: Option<(u64, EventId, Timestamp)>,
    /// The first readable event, in the same form.
    pub(super) first: Option<(u64, EventId, Timestamp)>,
    /// The first number whose events expire, and how long after their publication.
    pub(super) kept: Option<(u64, Duration)>,
    pub(super) has_state: bool,
}

/// A row of the log, its envelope, and the consumers with evidence of it.
pub(super) struct Event {
    pub(super) envelope: Envelope,
    pub(super) row: LogRow,
    pub(super) handled_by: Vec<&'static str>,
}

/// An event for which a consumer has no evidence yet.
pub(super) struct Open {
    /// The index of the checked consumer.
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
    /// The consumers whose evidence is looked up: the ones with a lane in the stack.
    pub(super) checked_consumers: Vec<CheckedConsumer>,
    /// The other consumers that this tool knows.
    pub(super) not_deployed: Vec<String>,
    pub(super) evidence_tables: EvidenceTables,
    pub(super) scope: BTreeSet<String>,
    pub(super) counts: Counts,
    pub(super) findings: Vec<Finding>,
    pub(super) leftovers: Vec<Leftover>,
    pub(super) lanes: Vec<LaneSeen>,
    /// The dead letters of each consumer, by its name.
    pub(super) letters: BTreeMap<String, LettersSeen>,
    pub(super) all_letters_read: bool,
    pub(super) index: HashMap<EventId, Named>,
    /// The number and id of the first event of each fact, by type, aggregate and idempotency key.
    pub(super) facts: HashMap<(String, String, String), (u64, EventId)>,
    pub(super) aggregates: BTreeMap<String, Aggregate>,
    /// Since when each checked consumer has a lane. `None` for a consumer without a lane.
    pub(super) began: Vec<Option<Timestamp>>,
    /// How many events each checked consumer did not handle because they are older than it.
    pub(super) before_consumer: Vec<u64>,
    pub(super) open: Vec<Open>,
    pub(super) parked_events: HashSet<(usize, String)>,
    pub(super) parked_marks: HashSet<Key>,
}

/// An aggregate as people write it: `type/id`.
pub(super) fn shown(aggregate: &str) -> String {
    aggregate.replacen('#', "/", 1)
}

/// The type of an aggregate, or the first word of another partition.
pub(super) fn kind_of(partition: &str) -> &str {
    partition.split('#').next().unwrap_or_default()
}

/// A text attribute.
pub(super) fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name).and_then(Value::as_str)
}

/// Whether an item is the state of its partition's aggregate.
pub(super) fn is_state(item: &Item) -> bool {
    text(item, "sk") == Some("state")
}

/// An item's version. 0 if it has none.
pub(super) fn version(item: &Item) -> u64 {
    item.get("version").and_then(Value::as_u64).unwrap_or(0)
}

pub(super) fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A span of time for people.
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
        let has_lane = |consumer: &CheckedConsumer| {
            let name = consumer.stack_name();
            sources.lanes.iter().any(|lane| lane.consumer == name)
        };
        let (checked_consumers, others): (Vec<CheckedConsumer>, Vec<CheckedConsumer>) = sources
            .checked_consumers
            .iter()
            .cloned()
            .partition(has_lane);
        Self {
            sources,
            options,
            progress,
            stage: "event log",
            started_at: sources.clock.now(),
            registry: Registry::shipped(),
            checked_consumers,
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
            letters: BTreeMap::new(),
            all_letters_read: false,
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

    /// Whether all aggregates are audited, so that totals can be compared.
    pub(super) fn is_whole(&self) -> bool {
        self.scope.is_empty()
    }

    /// Whether an aggregate is audited.
    pub(super) fn is_wanted(&self, aggregate: &str) -> bool {
        self.is_whole() || self.scope.contains(aggregate)
    }

    /// The name of a checked consumer.
    pub(super) fn consumer(&self, number: usize) -> &'static str {
        self.checked_consumers
            .get(number)
            .map_or("", |one| one.name)
    }

    /// The places of a table's items in the scope. `partitions` names the partitions of an aggregate.
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

    /// The same for a table in which each aggregate of these types has a partition of its own.
    pub(super) fn places_of(&self, table: &Table, kinds: &[&str]) -> Vec<Place> {
        self.places(table, |aggregate| {
            kinds
                .contains(&kind_of(aggregate))
                .then(|| aggregate.to_owned())
        })
    }

    // --- moments ------------------------------------------------------------------------------------------------------

    /// From this time on a change may be newer than the read of the log.
    pub(super) fn moving_since(&self) -> Option<Timestamp> {
        if self.options.settled {
            return None;
        }
        Some(self.started_at.minus(self.options.grace))
    }

    pub(super) fn is_young(&self, moment: Timestamp) -> bool {
        self.moving_since().is_some_and(|since| moment >= since)
    }

    pub(super) fn age(&self, moment: Timestamp) -> Duration {
        self.started_at.since(moment)
    }

    // --- findings -----------------------------------------------------------------------------------------------------

    /// Reports a finding about an event of the log.
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

    /// Reports a finding about an event that concerns no consumer.
    pub(super) fn of_event(
        &mut self,
        kind: Kind,
        event_id: EventId,
        what: String,
        advice: &'static str,
    ) {
        self.about(kind, event_id, None, None, what, advice);
    }

    /// Reports a finding that is not about a single event of the log.
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

    /// Reports a finding about the stored state of an aggregate.
    pub(super) fn of_state(
        &mut self,
        kind: Kind,
        aggregate: &str,
        what: String,
        advice: &'static str,
    ) {
        self.found(kind, Some(aggregate), None, what, "stored state", advice);
    }

    /// Whether the log itself is in doubt, so that nothing can be measured by it: a gap, or a fact recorded twice.
    pub(super) fn log_is_in_doubt(&self) -> bool {
        self.findings.iter().any(|finding| {
            matches!(finding.kind, Kind::OutOfSequence | Kind::Unreadable)
                || finding.advice == advice::TWICE
        })
    }

    /// Decodes a row; reports a finding if it cannot be read.
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

    /// Reports a row of a partition that cannot be read.
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

    /// The outbox by which histories are read as the functions read them.
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
