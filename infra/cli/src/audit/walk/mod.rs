//! The audit itself.
//!
//! Nothing is read at one moment, and traffic may run meanwhile. What keeps that from making false findings is the order:
//!
//! 1. the event log, and page by page the evidence of its events;
//! 2. the depth of the lanes, *then* the letters, *then* once more the evidence of what was not handled: an event that goes
//!    from lane to letter, or is handled, in between is seen in at least one place;
//! 3. the rows of the total, and of the counts over time;
//! 4. state, statements, jobs, fan-outs, notes and the feed. They are read after the log, so they are as new as the log or newer: what is
//!    behind it is wrong, what is ahead of it is explained by a second look or by changes younger than the grace period.

mod analytics;
mod books;
mod chain;
mod fanouts;
mod feed;
mod handling;
mod log;
mod notes;
mod reading;
mod sequences;
mod settlement;
mod wallet;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use cloud::{books::Books, totals};
use events::{Envelope, EventId, Registry, Timestamp};
use evidence::{Proof, Watched};
use outbox::{Item, Key, Table, log::Row};
use rust_decimal::Decimal;
use serde_json::Value;

use self::{reading::Place, sequences::Sequences};
use super::{
    BeforeConsumer, Counts, Error, Figures, Finding, Kind, LaneSeen, Leftover, Options,
    PointFigures, Progress, Report, Sources,
};

/// Items read at once.
const PAGE: u32 = 200;

/// Letters read of one dead-letter queue; with more than this, the queue itself is the finding.
const LETTERS_AT_MOST: usize = 10_000;

/// How long the event log's stream remembers a row
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>, read 2026-11-21).
const STREAM_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a lane keeps a message: template.yaml's retention, at least this by the wiring test.
const LANE_LIFE: Duration = Duration::from_secs(4 * 24 * 60 * 60);

mod advice {
    pub(super) const RELAY: &str = "read the relay's log (`relaying failed`) and its iterator age; it repeats by itself for 24 hours";
    pub(super) const REPUBLISH: &str = "mend what stops the relay, then `millrace republish`: pending events are published, consumers ignore repeats";
    pub(super) const REFUSED: &str = "mend what the bus refused (the error names it), then `millrace republish --include-failed`";
    pub(super) const LOST: &str = "look at the rule's FailedInvocations and the consumer's log by the event id; then send the logged event to the consumer's lane again: consumers are safe against repeats";
    pub(super) const LATE: &str = "look at the lane's oldest message and the consumer's log; run the audit again when the lane is empty";
    pub(super) const PARKED: &str = "mend the cause that the letter tells, then send it to its lane again; delete it only when nobody needs the effect";
    pub(super) const BEHIND: &str = "handle the parked event first: mend its cause and send its letter to its lane again, then the consumer goes on to the log's end by itself";
    pub(super) const BLOCKED: &str = "its letter is gone: mend the cause, then send the logged event to the consumer's lane again; what waits behind it follows by itself";
    pub(super) const DOUBLED: &str = "stop who writes this table without a mark, then correct the stored figure by hand, with a note of the event";
    pub(super) const TWICE: &str = "find out who wrote the second one (producer, correlation id); consumers handled the first by its key";
    pub(super) const SEQUENCE: &str = "rows of the log are written once and never removed before they expire: restore them from the table's point-in-time recovery";
    pub(super) const UNREADABLE: &str = "compare the row with its backup (point-in-time recovery): nobody but the outbox and the relay may write it";
    pub(super) const SENDER: &str = "look at the job's lease and its last runs (`millrace jobs notifications-sender`): what stops it is in the run's error";
    pub(super) const REFUSED_MAILS: &str = "mend the cause (`millrace notifications failed` tells every reason), then queue them again: `millrace notifications failed --retry`";
    pub(super) const LOST_MAILS: &str = "nobody but notifications-sender may write units and records of mails: find out who did; then tell these members by hand";
    pub(super) const LOST_NOTES: &str = "nobody removes notes before they expire: restore them from the table's point-in-time recovery";
    pub(super) const HISTORY: &str = "nobody but settlement-api may tell of payments and settlements: find out who wrote it (producer, correlation id), and compare the row with its backup";
    pub(super) const FEED: &str = "nobody but event-feed may write the feed: compare its table with a backup; who reads the feed misses nothing in the event log";
    pub(super) const BOOKS: &str = "nobody but the domain's functions may write this item: compare it with its backup, then correct it by hand";
}

/// What is known of an event, to name it.
#[derive(Debug, Clone)]
struct Named {
    event_type: String,
    /// `type#id`.
    aggregate: String,
    sequence: u64,
    committed_at: Timestamp,
    published_at: Option<Timestamp>,
}

/// An aggregate, as its rows of the log show it, in whatever order they were read.
#[derive(Debug, Default)]
struct Aggregate {
    sequences: Sequences,
    /// The last event that could be read: its number, its id, and when it was committed.
    last: Option<(u64, EventId, Timestamp)>,
    /// From which number on its events are kept for a while only, and how long after their publication.
    kept: Option<(u64, Duration)>,
    has_state: bool,
}

/// A row of the log and its envelope.
struct Event {
    envelope: Envelope,
    row: Row,
    handled_by: Vec<&'static str>,
}

/// An event that a consumer shows no sign of yet.
struct Open {
    consumer: usize,
    event_id: EventId,
    proof: Proof,
    handled_by: Vec<&'static str>,
    published_at: Timestamp,
    priority: events::Priority,
}

/// Credits that an event brings into one row of the outstanding total.
#[derive(Debug, Default)]
struct Shard {
    counted: Vec<(EventId, Decimal)>,
    uncertain: Vec<(EventId, Decimal)>,
}

pub(super) struct Audit<'a> {
    sources: &'a Sources,
    options: &'a Options,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    stage: &'static str,
    started_at: Timestamp,
    registry: Registry,
    watched: Vec<Watched>,
    scope: BTreeSet<String>,
    counts: Counts,
    findings: Vec<Finding>,
    leftovers: Vec<Leftover>,
    lanes: Vec<LaneSeen>,
    index: HashMap<EventId, Named>,
    /// The number and id of the first event that tells a fact: type, aggregate, key.
    facts: HashMap<(String, String, String), (u64, EventId)>,
    aggregates: BTreeMap<String, Aggregate>,
    /// The number and payload of the last event of aggregates whose events state their whole state; no payload where that
    /// event cannot be read.
    stated: HashMap<String, (u64, Option<Value>)>,
    /// Since when each watched consumer has a lane; nothing of one that has none.
    began: Vec<Option<Timestamp>>,
    /// How many events each watched consumer did not handle because they are older than it.
    before_consumer: Vec<u64>,
    open: Vec<Open>,
    parked_events: HashSet<(usize, String)>,
    parked_marks: HashSet<Key>,
    books: Books,
    shards: Vec<Shard>,
    /// Movements of the log, to compare the chain's jobs with.
    movements: HashMap<EventId, chain::Movement>,
    /// Counts over time, as the log's events come to them.
    counted: analytics::Counted,
    balances: Decimal,
    staked: Decimal,
    /// What was minted, burned and redeemed, by the log.
    sums: (Decimal, Decimal, Decimal),
    /// Notes that events come to, by key.
    notes: HashMap<Key, notes::Expected>,
    fanouts: fanouts::Fanouts,
    wallets: wallet::Wallets,
    feed: feed::Feed,
    notes_off: HashSet<String>,
}

/// An aggregate, the way people write it.
fn shown(aggregate: &str) -> String {
    aggregate.replacen('#', "/", 1)
}

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name).and_then(Value::as_str)
}

impl<'a> Audit<'a> {
    pub(super) fn new(
        sources: &'a Sources,
        options: &'a Options,
        progress: &'a mut (dyn FnMut(Progress) + Send),
    ) -> Self {
        Self {
            sources,
            options,
            progress,
            stage: "event log",
            started_at: sources.clock.now(),
            registry: Registry::shipped(),
            watched: sources.watched.clone(),
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
            stated: HashMap::new(),
            began: Vec::new(),
            before_consumer: Vec::new(),
            open: Vec::new(),
            parked_events: HashSet::new(),
            parked_marks: HashSet::new(),
            books: Books::default(),
            shards: (0..totals::SHARDS).map(|_| Shard::default()).collect(),
            movements: HashMap::new(),
            counted: analytics::Counted::default(),
            balances: Decimal::ZERO,
            staked: Decimal::ZERO,
            sums: (Decimal::ZERO, Decimal::ZERO, Decimal::ZERO),
            notes: HashMap::new(),
            fanouts: fanouts::Fanouts::default(),
            wallets: wallet::Wallets::default(),
            feed: feed::Feed::default(),
            notes_off: HashSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Report, Error> {
        self.consumers().await?;
        self.log().await?;
        self.gaps();
        self.stage = "letters";
        let depths = self.depths().await?;
        self.letters().await?;
        self.stage = "evidence";
        self.second_look(&depths).await?;
        self.stage = "books";
        let totals = self.totals().await?;
        self.members().await?;
        self.cloud().await?;
        let points = self.wallets().await?;
        self.settlements().await?;
        self.missing_states();
        let figures = self.check_totals(totals);
        self.analytics().await?;
        self.stage = "fan-outs";
        self.fanouts().await?;
        self.stage = "notes";
        self.notifications().await?;
        self.stage = "feed";
        self.feed().await?;
        Ok(self.report(figures, points))
    }

    fn report(mut self, figures: Option<Figures>, points: Option<PointFigures>) -> Report {
        self.counts.aggregates = count(self.aggregates.len());
        let known: Vec<String> = self.watched.iter().map(Watched::stack_name).collect();
        let mut not_audited: Vec<String> = self
            .sources
            .lanes
            .iter()
            .map(|lane| lane.consumer.clone())
            .filter(|name| !known.contains(name))
            .collect();
        not_audited.dedup();
        let mut findings = self.findings;
        findings.sort_by(|one, other| {
            let order = |one: &Finding| {
                let place = (one.aggregate.clone(), one.sequence, one.event_id.clone());
                (one.kind, place, one.what.clone())
            };
            order(one).cmp(&order(other))
        });
        let before_consumer = self
            .watched
            .iter()
            .zip(self.began.iter().zip(&self.before_consumer))
            .filter_map(|(consumer, (began, events))| {
                let began_at = (*began).filter(|_| *events > 0)?;
                Some(BeforeConsumer {
                    consumer: consumer.name.to_owned(),
                    began_at,
                    events: *events,
                })
            })
            .collect();
        Report {
            clean: findings.is_empty(),
            started_at: self.started_at,
            finished_at: self.sources.clock.now(),
            settled: self.options.settled,
            grace_seconds: self.options.grace.as_secs(),
            scope: self
                .scope
                .iter()
                .map(|aggregate| shown(aggregate))
                .collect(),
            counts: self.counts,
            figures,
            points,
            lanes: self.lanes,
            findings,
            leftovers: self.leftovers,
            before_consumer,
            not_audited,
        }
    }

    // --- reading ------------------------------------------------------------------------------------------------------

    /// Tells how far it is, and waits until so many items may have been read.
    async fn pace(&mut self, items: usize, begun: Timestamp) {
        self.counts.items_read += count(items);
        (self.progress)(Progress {
            stage: self.stage,
            counts: self.counts,
            findings: self.findings.len(),
        });
        let rate = self.options.items_per_second.max(1);
        let share =
            Duration::from_secs(1).saturating_mul(u32::try_from(items).unwrap_or(u32::MAX)) / rate;
        let clock = &self.sources.clock;
        let rest = share.saturating_sub(clock.now().since(begun));
        if !rest.is_zero() {
            clock.sleep(rest).await;
        }
    }

    async fn items(&mut self, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        // The store makes as few calls as it can; the pace is kept by pages.
        for chunk in keys.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            let begun = self.sources.clock.now();
            items.extend(self.sources.store.get_many(chunk).await?);
            self.pace(chunk.len(), begun).await;
        }
        Ok(items)
    }

    /// Where a table's items of the scope stand; `partitions` names those of an aggregate.
    fn places<P>(&self, table: &Table, partitions: impl Fn(&str) -> P) -> Vec<Place>
    where
        P: IntoIterator<Item = String>,
    {
        if self.scope.is_empty() {
            return vec![Place::Table(table.clone())];
        }
        let partitions: BTreeSet<String> =
            self.scope.iter().flat_map(|one| partitions(one)).collect();
        partitions
            .into_iter()
            .map(|pk| Place::Partition(table.clone(), pk))
            .collect()
    }

    /// From when on a change may be newer than the reading of the log.
    fn moving_since(&self) -> Option<Timestamp> {
        if self.options.settled {
            return None;
        }
        let grace = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        let millis = self.started_at.unix_millis().saturating_sub(grace);
        Some(Timestamp::from_unix_millis(millis).unwrap_or(Timestamp::EPOCH))
    }

    fn is_young(&self, moment: Timestamp) -> bool {
        self.moving_since().is_some_and(|since| moment >= since)
    }

    fn age(&self, moment: Timestamp) -> Duration {
        self.started_at.since(moment)
    }

    // --- findings -----------------------------------------------------------------------------------------------------

    /// A finding about an event of the log.
    fn about(
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

    /// A finding about something else than one event of the log.
    fn found(
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
}

/// Equal, numbers by value.
fn same(one: &Value, other: &Value) -> bool {
    let decimal = |value: &Value| match value {
        Value::Number(number) => number.to_string().parse::<Decimal>().ok(),
        _ => None,
    };
    match (decimal(one), decimal(other)) {
        (Some(one), Some(other)) => one == other,
        _ => one == other,
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// A span as people say it.
fn span(span: Duration) -> String {
    let seconds = span.as_secs();
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}
