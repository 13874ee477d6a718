//! The audit itself.
//!
//! Nothing is read at one moment, and traffic may run meanwhile. What keeps that from making false findings is the order:
//!
//! 1. the event log, and page by page the evidence of its events;
//! 2. the depth of the lanes, *then* the letters, *then* once more the evidence of what was not handled: an event that goes
//!    from lane to letter, or is handled, in between is seen in at least one place;
//! 3. the rows of the total;
//! 4. state, statements and notes. They are read after the log, so they are as new as the log or newer: what is behind it
//!    is wrong, what is ahead of it is explained by a second look or by changes younger than the grace period.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    time::Duration,
};

use cloud::{
    account::{Account, Kind as MovementKind, Movement},
    backing::{Alert, Backing},
    books::{
        AsIf, Books, Told, Total, Wrong, WrongEpisode, check_account, check_episodes, check_total,
    },
    totals,
};
use events::{
    Contract, Envelope, EventId, MemberId, Registry, Retention, Timestamp,
    contracts::{
        alert::TreasuryBackingLow,
        cloud::{Burned, Minted},
        member::{Registered, Updated},
        treasury::AccountChanged,
    },
};
use outbox::{
    Cursor, Item, Key, MARK_LIFE, Page, Query, Scan, SortKey, Table, decode_item, log::Row,
};
use rust_decimal::Decimal;
use serde_json::Value;
use views::notes::{NOTE_LIFE, Note};

use super::{
    Counts, Error, Figures, Finding, Kind, Lane, LaneSeen, Leftover, Options, Progress, Report,
    Sources,
    evidence::{Proof, Shown, Watched, watched},
    letters::Letter,
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
    pub(super) const DOUBLED: &str = "stop who writes this table without a mark, then correct the stored figure by hand, with a note of the event";
    pub(super) const TWICE: &str = "find out who wrote the second one (producer, correlation id); consumers handled the first by its key";
    pub(super) const SEQUENCE: &str = "rows of the log are written once and never removed before they expire: restore them from the table's point-in-time recovery";
    pub(super) const UNREADABLE: &str = "compare the row with its backup (point-in-time recovery): nobody but the outbox and the relay may write it";
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

/// An aggregate, as its rows of the log show it.
#[derive(Debug)]
struct Aggregate {
    first: u64,
    last: u64,
    last_event: Option<EventId>,
    last_committed_at: Option<Timestamp>,
    /// How long its events are kept after their publication, where not for ever.
    kept: Option<Duration>,
    whole: bool,
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

enum Place {
    Table(Table),
    Partition(Table, String),
}

impl Place {
    fn table(&self) -> &Table {
        match self {
            Self::Table(table) | Self::Partition(table, _) => table,
        }
    }
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
    facts: HashMap<(String, String, String), EventId>,
    aggregates: BTreeMap<String, Aggregate>,
    /// The payload of the last event of aggregates whose events state their whole state.
    stated: HashMap<String, Value>,
    open: Vec<Open>,
    parked_events: HashSet<(usize, String)>,
    parked_marks: HashSet<Key>,
    books: Books,
    shards: Vec<Shard>,
    balances: Decimal,
    /// What was minted and burned, by the log.
    sums: (Decimal, Decimal),
    /// Notes that events come to: by key, the event and whether it is proven handled.
    notes: HashMap<Key, (EventId, MemberId, bool)>,
    notes_off: HashSet<String>,
}

/// An aggregate, the way people write it.
fn shown(aggregate: &str) -> String {
    aggregate.replacen('#', "/", 1)
}

fn text<'i>(item: &'i Item, name: &str) -> Option<&'i str> {
    item.get(name).and_then(Value::as_str)
}

/// The change that an event makes to the outstanding total.
fn outstanding(envelope: &Envelope) -> Option<Decimal> {
    match envelope.event_type.as_str() {
        Minted::TYPE => Some(
            events::decode_payload::<Minted>(envelope)
                .ok()?
                .amount
                .decimal(),
        ),
        Burned::TYPE => Some(
            -events::decode_payload::<Burned>(envelope)
                .ok()?
                .amount
                .decimal(),
        ),
        _ => None,
    }
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
            watched: watched(),
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
            open: Vec::new(),
            parked_events: HashSet::new(),
            parked_marks: HashSet::new(),
            books: Books::default(),
            shards: (0..totals::SHARDS).map(|_| Shard::default()).collect(),
            balances: Decimal::ZERO,
            sums: (Decimal::ZERO, Decimal::ZERO),
            notes: HashMap::new(),
            notes_off: HashSet::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Report, Error> {
        self.log().await?;
        self.stage = "letters";
        let depths = self.depths().await?;
        self.letters().await?;
        self.stage = "evidence";
        self.second_look(&depths).await?;
        self.stage = "books";
        let totals = self.totals().await?;
        self.members().await?;
        self.cloud().await?;
        self.missing_states();
        let figures = self.check_totals(totals);
        self.stage = "notes";
        self.notifications().await?;
        Ok(self.report(figures))
    }

    fn report(mut self, figures: Option<Figures>) -> Report {
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
            (one.kind, &one.aggregate, one.sequence).cmp(&(
                other.kind,
                &other.aggregate,
                other.sequence,
            ))
        });
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
            lanes: self.lanes,
            findings,
            leftovers: self.leftovers,
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

    async fn page(&mut self, place: &Place, after: Option<Cursor>) -> Result<Page, Error> {
        let begun = self.sources.clock.now();
        let limit = self.options.items_per_second.clamp(1, PAGE);
        let store = &self.sources.store;
        let page = match place {
            Place::Table(table) => {
                let scan = Scan {
                    table: table.clone(),
                    without: None,
                    limit,
                    after,
                };
                store.scan(&scan).await?
            }
            Place::Partition(table, pk) => {
                let query = Query {
                    after,
                    ..Query::partition(table, pk.as_str(), limit)
                };
                store.query(&query).await?
            }
        };
        self.pace(page.items.len(), begun).await;
        Ok(page)
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

    /// Where a table's items of the scope stand; `partition` names the partitions of an aggregate.
    fn places(&self, table: &Table, partition: impl Fn(&str) -> Option<String>) -> Vec<Place> {
        if self.scope.is_empty() {
            return vec![Place::Table(table.clone())];
        }
        let partitions: BTreeSet<String> =
            self.scope.iter().filter_map(|one| partition(one)).collect();
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

    // --- the log ------------------------------------------------------------------------------------------------------

    async fn log(&mut self) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        for place in self.places(&events, |aggregate| Some(aggregate.to_owned())) {
            let mut after = None;
            loop {
                let page = self.page(&place, after).await?;
                let mut read = Vec::new();
                for item in page.items {
                    read.extend(self.row(item));
                }
                self.evidence(read).await?;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads a row of the log and enters it wherever it is needed later.
    fn row(&mut self, item: Item) -> Option<Event> {
        self.counts.events += 1;
        let aggregate = text(&item, "aggregate").unwrap_or_default().to_owned();
        let sequence = item.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let unreadable = |audit: &mut Self, what: String| {
            audit.in_sequence(&aggregate, sequence, None);
            // What its last event states is not known any more.
            audit.stated.remove(&aggregate);
            audit.found(
                Kind::Unreadable,
                Some(&aggregate),
                Some(sequence),
                what,
                "a row of the event log",
                advice::UNREADABLE,
            );
            None
        };
        let row = match Row::read(item) {
            Ok(row) => row,
            Err(name) => {
                return unreadable(self, format!("attribute {name} is missing or malformed"));
            }
        };
        let envelope: Envelope = match serde_json::from_str(row.envelope_json()) {
            Ok(envelope) => envelope,
            Err(error) => return unreadable(self, format!("the envelope cannot be read: {error}")),
        };
        let differs = [
            ("aggregate", envelope.aggregate() != row.aggregate),
            ("sequence", envelope.sequence.number() != row.sequence),
            ("event_id", envelope.event_id.to_string() != row.event_id),
            ("event_type", envelope.event_type.as_str() != row.event_type),
        ];
        let differing: Vec<&str> = differs
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect();
        if !differing.is_empty() {
            return unreadable(
                self,
                format!(
                    "the envelope of event {} says another {} than its row",
                    envelope.event_id,
                    differing.join(", ")
                ),
            );
        }
        self.in_sequence(&aggregate, sequence, Some((&envelope, row.committed_at)));
        let named = Named {
            event_type: row.event_type.clone(),
            aggregate,
            sequence,
            committed_at: row.committed_at,
            published_at: row.published_at(),
        };
        self.once(&envelope, named);
        self.payload(&envelope);
        Some(Event {
            envelope,
            row,
            handled_by: Vec::new(),
        })
    }

    fn in_sequence(
        &mut self,
        aggregate: &str,
        sequence: u64,
        event: Option<(&Envelope, Timestamp)>,
    ) {
        let kept = event.and_then(|(envelope, _)| {
            let version = envelope.event_version.number();
            let entry = self.registry.get(envelope.event_type.as_str(), version)?;
            match entry.info().retention {
                Retention::Days(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
                Retention::Forever => None,
            }
        });
        let fresh = Aggregate {
            first: sequence,
            last: 0,
            last_event: None,
            last_committed_at: None,
            kept: None,
            whole: true,
            has_state: false,
        };
        let known = self.aggregates.entry(aggregate.to_owned()).or_insert(fresh);
        known.kept = kept.or(known.kept);
        let missing = sequence.saturating_sub(known.last + 1);
        if missing > 0 {
            known.whole = false;
            // An expired row is no gap. Those after a row that cannot have expired yet cannot have, either.
            let may_be_gone = known.kept.is_some_and(|kept| {
                known
                    .last_committed_at
                    .is_none_or(|at| self.started_at.since(at) >= kept)
            });
            if may_be_gone {
                self.counts.expired += missing;
            } else {
                let from = known.last + 1;
                let which = if missing == 1 {
                    format!("event {from} is missing")
                } else {
                    format!("events {from} to {} are missing", sequence - 1)
                };
                self.found(
                    Kind::OutOfSequence,
                    Some(aggregate),
                    Some(from),
                    format!("{which} in the event log, before event {sequence}"),
                    "a gap in the event log",
                    advice::SEQUENCE,
                );
            }
        }
        if let Some(known) = self.aggregates.get_mut(aggregate) {
            known.last = sequence.max(known.last);
            if let Some((envelope, committed_at)) = event {
                known.last_event = Some(envelope.event_id);
                known.last_committed_at = Some(committed_at);
            }
        }
    }

    /// No id twice, no fact twice.
    fn once(&mut self, envelope: &Envelope, named: Named) {
        let event_id = envelope.event_id;
        let place = format!("{} {}", shown(&named.aggregate), named.sequence);
        if let Some(first) = self.index.get(&event_id) {
            let what = format!(
                "the same event id stands at {} {} and at {place}",
                shown(&first.aggregate),
                first.sequence
            );
            self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            return;
        }
        self.index.insert(event_id, named);
        if let Some(key) = &envelope.idempotency_key {
            let fact = (
                envelope.event_type.to_string(),
                envelope.aggregate(),
                key.to_string(),
            );
            if let Some(first) = self.facts.get(&fact) {
                let what = format!("tells the same fact ({key}) as event {first}");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            } else {
                self.facts.insert(fact, event_id);
            }
        }
    }

    /// Whether the payload keeps its contract; what books and states are compared with later.
    fn payload(&mut self, envelope: &Envelope) {
        let version = envelope.event_version.number();
        let json = envelope.payload.json();
        let event_type = envelope.event_type.as_str();
        let kept = match self.registry.get(event_type, version) {
            None => {
                self.counts.unknown_types += 1;
                return;
            }
            Some(entry) => entry.decodes(json),
        };
        let entered = kept.and_then(|()| {
            self.books
                .enter(envelope)
                .map_err(|error| error.to_string())
        });
        if let Err(error) = entered {
            let what = format!("the payload breaks its contract: {error}");
            self.about(
                Kind::Unreadable,
                envelope.event_id,
                None,
                None,
                what,
                advice::UNREADABLE,
            );
            return;
        }
        if [Registered::TYPE, Updated::TYPE, AccountChanged::TYPE].contains(&event_type)
            && let Ok(payload) = serde_json::from_str::<Value>(json)
        {
            let wanted = payload.pointer("/notification_preferences/in_app_enabled");
            if wanted == Some(&Value::Bool(false)) {
                self.notes_off.insert(envelope.aggregate_id.to_string());
            }
            self.stated.insert(envelope.aggregate(), payload);
        }
    }

    // --- evidence -----------------------------------------------------------------------------------------------------

    /// Looks which consumers handled the events of a page.
    async fn evidence(&mut self, mut page: Vec<Event>) -> Result<(), Error> {
        let mut asked = Vec::new();
        for (place, event) in page.iter().enumerate() {
            for (number, consumer) in self.watched.iter().enumerate() {
                // What breaks its contract was named already.
                if let Ok(Some(proof)) = consumer.proof(&event.envelope, &self.sources.tables) {
                    asked.push((place, number, proof));
                }
            }
        }
        let keys: Vec<Key> = asked
            .iter()
            .map(|(_, _, proof)| proof.key().clone())
            .collect();
        let items = self.items(&keys).await?;
        let mut unseen = Vec::new();
        for ((place, number, proof), item) in asked.into_iter().zip(items) {
            let Some(event) = page.get_mut(place) else {
                continue;
            };
            let name = self
                .watched
                .get(number)
                .map_or("", |consumer| consumer.name);
            let published_at = event.row.published_at();
            match proof.shown_by(item.as_ref()) {
                Shown::Yes => {
                    event.handled_by.push(name);
                    self.counts.handled += 1;
                    self.counted(name, &event.envelope, true);
                }
                Shown::Otherwise => {
                    event.handled_by.push(name);
                    self.about(
                        Kind::Books,
                        event.envelope.event_id,
                        Some(name),
                        Some(format!("handled by {name}")),
                        format!(
                            "{} is of the event's version and says something else",
                            proof.key()
                        ),
                        advice::BOOKS,
                    );
                }
                Shown::No => {
                    // A mark lives 30 days from the handling on, which is not before the publication.
                    let gone =
                        proof.expires() && published_at.is_some_and(|at| self.age(at) >= MARK_LIFE);
                    if gone {
                        self.counts.not_provable += 1;
                        self.counted(name, &event.envelope, true);
                    } else {
                        unseen.push((place, number, proof));
                    }
                }
            }
        }
        for event in &page {
            self.expect_notes(event);
            self.publication(event);
        }
        for (place, consumer, proof) in unseen {
            let Some(event) = page.get(place) else {
                continue;
            };
            // What is pending is told as such; nobody can have been expected to handle it.
            if let Some(published_at) = event.row.published_at() {
                self.open.push(Open {
                    consumer,
                    event_id: event.envelope.event_id,
                    proof,
                    handled_by: event.handled_by.clone(),
                    published_at,
                    priority: event.envelope.priority,
                });
            }
            let name = self
                .watched
                .get(consumer)
                .map_or("", |consumer| consumer.name);
            self.counted(name, &event.envelope, false);
        }
        Ok(())
    }

    /// Enters into the row of the total what the treasury counted, or may have.
    fn counted(&mut self, consumer: &str, envelope: &Envelope, surely: bool) {
        if consumer != <cloud_treasury::handler::Treasury as consumer::Handler>::NAME {
            return;
        }
        let Some(change) = outstanding(envelope) else {
            return;
        };
        let number = usize::from(totals::shard_of(envelope.event_id));
        if let Some(shard) = self.shards.get_mut(number) {
            let events = if surely {
                &mut shard.counted
            } else {
                &mut shard.uncertain
            };
            events.push((envelope.event_id, change));
        }
    }

    fn publication(&mut self, event: &Event) {
        let row = &event.row;
        if row.published_at().is_some() {
            self.counts.published += 1;
            return;
        }
        self.counts.pending += 1;
        let event_id = event.envelope.event_id;
        let stopped = if event.handled_by.is_empty() {
            "not relayed".to_owned()
        } else {
            format!("handled by {} all the same", event.handled_by.join(", "))
        };
        if let Some(failed_at) = row.failed_at() {
            let error = row.last_error().unwrap_or("no reason kept");
            let what = format!("the bus refused it for good at {failed_at}: {error}");
            self.about(
                Kind::Stuck,
                event_id,
                None,
                Some(stopped),
                what,
                advice::REFUSED,
            );
        } else if self.is_young(row.committed_at) {
            self.counts.young += 1;
        } else if !self.options.settled && self.age(row.committed_at) < STREAM_LIFE {
            let what = format!("pending for {}", span(self.age(row.committed_at)));
            self.about(
                Kind::Late,
                event_id,
                None,
                Some(stopped),
                what,
                advice::RELAY,
            );
        } else {
            let what = format!(
                "pending for {}, nothing will relay it",
                span(self.age(row.committed_at))
            );
            self.about(
                Kind::Stuck,
                event_id,
                None,
                Some(stopped),
                what,
                advice::REPUBLISH,
            );
        }
    }

    async fn depths(&mut self) -> Result<HashMap<String, u64>, Error> {
        let mut depths = HashMap::new();
        for lane in &self.sources.lanes {
            let depth = self.sources.queues.depth(&lane.url).await?;
            depths.insert(lane.url.clone(), depth);
            self.lanes.push(LaneSeen {
                consumer: self.name_of(lane),
                lane: lane.name,
                waiting: depth,
                letters: 0,
                all_letters_read: false,
            });
        }
        Ok(depths)
    }

    fn watched_of(&self, lane: &Lane) -> Option<usize> {
        self.watched
            .iter()
            .position(|consumer| consumer.stack_name() == lane.consumer)
    }

    fn name_of(&self, lane: &Lane) -> String {
        self.watched_of(lane)
            .and_then(|number| self.watched.get(number))
            .map_or_else(
                || lane.consumer.clone(),
                |consumer| consumer.name.to_owned(),
            )
    }

    async fn letters(&mut self) -> Result<(), Error> {
        for (place, lane) in self.sources.lanes.iter().enumerate() {
            let peeked = self
                .sources
                .queues
                .peek(&lane.letters_url, LETTERS_AT_MOST)
                .await?;
            if let Some(seen) = self.lanes.get_mut(place) {
                seen.letters = count(peeked.letters.len());
                seen.all_letters_read = peeked.complete;
            }
            self.counts.letters += count(peeked.letters.len());
            let number = self.watched_of(lane);
            let mut told = HashSet::new();
            let mut letters = Vec::new();
            for raw in &peeked.letters {
                let letter = Letter::read(raw);
                if !self.scope.is_empty()
                    && !letter
                        .aggregate
                        .as_ref()
                        .is_some_and(|one| self.scope.contains(one))
                {
                    continue;
                }
                let identity = letter
                    .event_id
                    .clone()
                    .unwrap_or_else(|| raw.message_id.clone());
                if told.insert(identity) {
                    letters.push(letter);
                } else {
                    self.counts.letter_copies += 1;
                }
            }
            let proofs: Vec<Option<Proof>> = letters
                .iter()
                .map(|letter| {
                    let consumer = self.watched.get(number?)?;
                    let envelope = letter.envelope.as_ref()?;
                    consumer.proof(envelope, &self.sources.tables).ok()?
                })
                .collect();
            let keys: Vec<Key> = proofs
                .iter()
                .flatten()
                .map(|proof| proof.key().clone())
                .collect();
            let mut items = self.items(&keys).await?.into_iter();
            for (letter, proof) in letters.into_iter().zip(proofs) {
                let handled = proof.as_ref().is_some_and(|proof| {
                    proof.shown_by(items.next().flatten().as_ref()) != Shown::No
                });
                self.letter(lane, number, letter, proof, handled);
            }
        }
        Ok(())
    }

    fn letter(
        &mut self,
        lane: &Lane,
        number: Option<usize>,
        letter: Letter,
        proof: Option<Proof>,
        handled: bool,
    ) {
        let name = self.name_of(lane);
        if handled {
            self.counts.leftovers += 1;
            self.leftovers.push(Leftover {
                consumer: name,
                event_id: letter.event_id.unwrap_or_default(),
                reason: letter.reason,
            });
            return;
        }
        if let (Some(number), Some(event_id)) = (number, &letter.event_id) {
            self.parked_events.insert((number, event_id.clone()));
        }
        if let Some(Proof::Mark(key)) = proof {
            self.parked_marks.insert(key);
        }
        let error = letter
            .error
            .map_or(String::new(), |error| format!(": {error}"));
        self.findings.push(Finding {
            kind: Kind::Parked,
            event_id: letter.event_id,
            event_type: letter.event_type,
            aggregate: letter.aggregate.as_deref().map(shown),
            sequence: letter.sequence,
            consumer: Some(name),
            stopped: format!("in the dead-letter queue of the {} lane", lane.name),
            what: format!("{}{error}", letter.reason),
            advice: advice::PARKED,
        });
    }

    /// Looks once more for the evidence of what was not handled, now that lanes and letters were read.
    async fn second_look(&mut self, depths: &HashMap<String, u64>) -> Result<(), Error> {
        let open = std::mem::take(&mut self.open);
        let keys: Vec<Key> = open.iter().map(|one| one.proof.key().clone()).collect();
        let items = self.items(&keys).await?;
        for (one, item) in open.into_iter().zip(items) {
            if one.proof.shown_by(item.as_ref()) == Shown::No {
                self.unhandled(&one, depths);
            } else {
                self.counts.handled += 1;
                let surely = |shard: &mut Shard| {
                    let at = shard
                        .uncertain
                        .iter()
                        .position(|(id, _)| *id == one.event_id)?;
                    let change = shard.uncertain.remove(at);
                    shard.counted.push(change);
                    Some(())
                };
                let name = self
                    .watched
                    .get(one.consumer)
                    .map_or("", |consumer| consumer.name);
                if name == <cloud_treasury::handler::Treasury as consumer::Handler>::NAME {
                    let number = usize::from(totals::shard_of(one.event_id));
                    self.shards.get_mut(number).and_then(surely);
                }
                for (event_id, _, handled) in self.notes.values_mut() {
                    if *event_id == one.event_id
                        && name
                            == <notifications::handler::Notifications as consumer::Handler>::NAME
                    {
                        *handled = true;
                    }
                }
            }
        }
        Ok(())
    }

    fn unhandled(&mut self, one: &Open, depths: &HashMap<String, u64>) {
        let event_id = one.event_id;
        let as_letter = self
            .parked_events
            .contains(&(one.consumer, event_id.to_string()))
            || self.parked_marks.contains(one.proof.key());
        if as_letter {
            return;
        }
        if self.is_young(one.published_at) {
            self.counts.young += 1;
            return;
        }
        let Some(consumer) = self.watched.get(one.consumer) else {
            return;
        };
        let (name, stack_name) = (consumer.name, consumer.stack_name());
        let lanes: Vec<&Lane> = self
            .sources
            .lanes
            .iter()
            .filter(|lane| lane.consumer == stack_name)
            .collect();
        let urgent = matches!(
            one.priority,
            events::Priority::Critical | events::Priority::High
        );
        // A consumer with one lane takes everything by it.
        let lane = lanes
            .iter()
            .find(|lane| lanes.len() == 1 || (lane.name == "express") == urgent);
        let waiting = lane
            .and_then(|lane| depths.get(&lane.url))
            .copied()
            .unwrap_or(0);
        let letters_left = lane.is_some_and(|lane| {
            self.sources
                .lanes
                .iter()
                .position(|one| one == *lane)
                .and_then(|place| self.lanes.get(place))
                .is_some_and(|seen| !seen.all_letters_read)
        });
        let handled_by = if one.handled_by.is_empty() {
            String::new()
        } else {
            format!("handled by {}, ", one.handled_by.join(", "))
        };
        let stopped = Some(format!("{handled_by}not by {name}"));
        let lane_name = lane.map_or("its", |lane| lane.name);
        let still = !self.options.settled && self.age(one.published_at) < LANE_LIFE;
        if still && waiting > 0 {
            let what = format!(
                "no sign of it at {name}; {waiting} messages are in the {lane_name} lane, it may be among them"
            );
            self.about(
                Kind::Late,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LATE,
            );
        } else if letters_left {
            let what = format!(
                "no sign of it at {name}; it may be among the letters that could not be read"
            );
            self.about(
                Kind::Late,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LATE,
            );
        } else {
            let row = match &one.proof {
                Proof::Mark(_) => "mark",
                Proof::Row(_) => "row",
            };
            let what = format!("{name} has no {row} of it, and it is in none of its queues");
            self.about(
                Kind::Lost,
                event_id,
                Some(name),
                stopped,
                what,
                advice::LOST,
            );
        }
    }

    // --- books --------------------------------------------------------------------------------------------------------

    async fn totals(&mut self) -> Result<Option<Vec<Decimal>>, Error> {
        if !self.scope.is_empty() {
            return Ok(None);
        }
        let cloud = self.sources.tables.cloud.clone();
        let keys: Vec<Key> = (0..totals::SHARDS)
            .map(|shard| totals::key(&cloud, shard))
            .collect();
        let items = self.items(&keys).await?;
        let mut rows = Vec::new();
        for (key, item) in keys.iter().zip(items) {
            rows.push(match item {
                Some(item) => totals::row(key, item)?,
                None => Decimal::ZERO,
            });
        }
        Ok(Some(rows))
    }

    async fn members(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.member.clone();
        let places = self.places(&table, |aggregate| {
            aggregate
                .starts_with("member#")
                .then(|| aggregate.to_owned())
        });
        for place in places {
            let mut after = None;
            loop {
                let page = self.page(&place, after).await?;
                for item in &page.items {
                    if text(item, "sk") == Some("state") {
                        self.state(item).await?;
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Compares a state item with the end of its aggregate's log and with what its last event states.
    async fn state(&mut self, item: &Item) -> Result<(), Error> {
        self.counts.states += 1;
        let Some(aggregate) = text(item, "pk").map(str::to_owned) else {
            return Ok(());
        };
        let Some(last_sequence) = item.get("last_sequence").and_then(Value::as_u64) else {
            self.found(
                Kind::Unreadable,
                Some(&aggregate),
                None,
                "its state item has no last_sequence".to_owned(),
                "stored state",
                advice::UNREADABLE,
            );
            return Ok(());
        };
        let known = self.aggregates.get_mut(&aggregate).map(|known| {
            known.has_state = true;
            (known.last, known.last_event)
        });
        let (last, last_event) = known.unwrap_or((0, None));
        if last_sequence < last {
            let what = format!("its state counts {last_sequence} events, the log has {last}");
            match last_event {
                Some(event_id) => {
                    self.about(
                        Kind::OutOfSequence,
                        event_id,
                        None,
                        None,
                        what,
                        advice::BOOKS,
                    );
                }
                None => self.found(
                    Kind::OutOfSequence,
                    Some(&aggregate),
                    Some(last),
                    what,
                    "stored state",
                    advice::BOOKS,
                ),
            }
        } else if last_sequence > last {
            self.ahead(item, &aggregate, last, last_sequence).await?;
        } else if let Some(event_id) = last_event
            && let Some(stated) = self.stated.get(&aggregate)
        {
            let differing: Vec<String> = stated
                .as_object()
                .into_iter()
                .flatten()
                .filter(|(name, value)| item.get(*name).is_some_and(|stored| !same(stored, value)))
                .map(|(name, _)| name.clone())
                .collect();
            if !differing.is_empty() {
                let what = format!(
                    "the stored state has another {} than its last event states",
                    differing.join(", ")
                );
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
        }
        Ok(())
    }

    /// A state that counts more events than the log had when it was read: they were added since, or they are missing.
    async fn ahead(
        &mut self,
        item: &Item,
        aggregate: &str,
        last: u64,
        last_sequence: u64,
    ) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        let mut reached = last;
        let mut after = None;
        loop {
            let query = Query {
                from: Some(SortKey::Number(last + 1)),
                after,
                ..Query::partition(&events, aggregate, PAGE)
            };
            let begun = self.sources.clock.now();
            let page = self.sources.store.query(&query).await?;
            self.pace(page.items.len(), begun).await;
            for row in &page.items {
                if row.get("sequence").and_then(Value::as_u64) == Some(reached + 1) {
                    reached += 1;
                }
            }
            after = page.next;
            if after.is_none() || reached >= last_sequence {
                break;
            }
        }
        if reached >= last_sequence {
            self.counts.moving += reached - last;
            return Ok(());
        }
        let missing = last_sequence - reached;
        let known = self.aggregates.get(aggregate);
        let kept = known
            .and_then(|known| known.kept)
            .or_else(|| self.kept(aggregate));
        let touched = text(item, "updated_at").and_then(|moment| moment.parse::<Timestamp>().ok());
        let since = known.and_then(|known| known.last_committed_at).max(touched);
        let may_be_gone =
            kept.is_some_and(|kept| since.is_none_or(|at| self.started_at.since(at) >= kept));
        if may_be_gone {
            self.counts.expired += missing;
            return Ok(());
        }
        let what = format!("its state counts {last_sequence} events, the log ends with {reached}");
        self.found(
            Kind::OutOfSequence,
            Some(aggregate),
            Some(reached + 1),
            what,
            "a change whose event is not in the event log",
            advice::SEQUENCE,
        );
        Ok(())
    }

    /// How long events of an aggregate's type are kept, where not for ever.
    fn kept(&self, aggregate: &str) -> Option<Duration> {
        let kind = aggregate.split('#').next()?;
        self.registry
            .contracts()
            .iter()
            .filter(|contract| contract.aggregate_type == kind)
            .filter_map(|contract| match contract.retention {
                Retention::Days(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
                Retention::Forever => None,
            })
            .min()
    }

    async fn cloud(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.cloud.clone();
        let kinds = [
            Minted::AGGREGATE,
            AccountChanged::AGGREGATE,
            TreasuryBackingLow::AGGREGATE,
        ];
        let places = self.places(&table, |aggregate| {
            let kind = aggregate.split('#').next()?;
            kinds.contains(&kind).then(|| aggregate.to_owned())
        });
        for place in places {
            let mut after = None;
            let mut partition: Vec<Item> = Vec::new();
            loop {
                let page = self.page(&place, after).await?;
                for item in page.items {
                    let same = partition
                        .first()
                        .is_none_or(|first| text(first, "pk") == text(&item, "pk"));
                    if !same {
                        let whole = std::mem::take(&mut partition);
                        self.partition(whole).await?;
                    }
                    partition.push(item);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
            self.partition(partition).await?;
        }
        let books = std::mem::take(&mut self.books);
        self.sums = (books.minted, books.burned);
        let rest = books.rest();
        for (account, ledger) in rest {
            let aggregate = format!("{}#{account}", Minted::AGGREGATE);
            if self.scope.is_empty() || self.scope.contains(&aggregate) {
                let checked = check_account(&ledger, None, &BTreeMap::new(), None);
                // That every line is missing too needs no word of its own.
                let gone = checked
                    .wrong
                    .into_iter()
                    .filter(|one| matches!(one, Wrong::NoAccount { .. }));
                for wrong in gone {
                    self.account_wrong(&aggregate, &wrong);
                }
                if let Some(known) = self.aggregates.get_mut(&aggregate) {
                    known.has_state = true;
                }
            }
        }
        Ok(())
    }

    /// All items of one partition of the table `cloud`.
    async fn partition(&mut self, items: Vec<Item>) -> Result<(), Error> {
        let Some(pk) = items
            .first()
            .and_then(|item| text(item, "pk"))
            .map(str::to_owned)
        else {
            return Ok(());
        };
        for item in &items {
            if text(item, "sk") == Some("state") {
                self.state(item).await?;
            }
        }
        let Some((kind, id)) = pk.split_once('#') else {
            return Ok(());
        };
        if kind == Minted::AGGREGATE {
            self.account(&pk, id, items);
        } else if kind == TreasuryBackingLow::AGGREGATE {
            self.episodes(&pk, items).await?;
        }
        Ok(())
    }

    /// A row by its type, or a finding.
    fn typed<T: serde::de::DeserializeOwned>(&mut self, table: &Table, item: Item) -> Option<T> {
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let (pk, key) = (place("pk"), table.key(place("pk"), place("sk")));
        match decode_item(&key, item) {
            Ok(row) => Some(row),
            Err(error) => {
                let what = outbox::chain(&error);
                self.found(
                    Kind::Unreadable,
                    Some(&pk),
                    None,
                    what,
                    "a stored item",
                    advice::UNREADABLE,
                );
                None
            }
        }
    }

    fn account(&mut self, pk: &str, id: &str, items: Vec<Item>) {
        let table = self.sources.tables.cloud.clone();
        let mut stored = None;
        let mut statement = BTreeMap::new();
        let mut readable = true;
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                let version = item.get("version").and_then(Value::as_u64).unwrap_or(0);
                let account = self.typed::<Account>(&table, item);
                readable &= account.is_some();
                stored = account.map(|account| (version, account));
            } else if let Some(digits) = sk.strip_prefix("transaction#") {
                let version = digits.parse::<u64>();
                let line = self.typed::<Movement>(&table, item);
                readable &= line.is_some();
                if let (Ok(version), Some(line)) = (version, line) {
                    statement.insert(version, line);
                }
            }
        }
        let mut ledger = self.books.take(id);
        if !self.scope.is_empty() {
            // The other side's events are out of sight: the statement's own word is taken.
            for (version, line) in &statement {
                let giver = line
                    .counterparty
                    .as_ref()
                    .map(|one| format!("{}#{one}", Minted::AGGREGATE));
                if line.kind == MovementKind::TransferredIn
                    && giver.is_some_and(|giver| !self.scope.contains(&giver))
                {
                    ledger
                        .entry(*version)
                        .or_insert_with(|| vec![Told::of_line(line)]);
                }
            }
        }
        self.counts.statement_lines += count(statement.len());
        if let Some((_, account)) = &stored {
            self.balances = self.balances.saturating_add(account.balance.decimal());
        }
        if !readable {
            return;
        }
        let checked = check_account(&ledger, stored, &statement, self.moving_since());
        self.counts.moving += checked.moving;
        // What was counted after the log was read may be in the total already.
        for (version, line) in &statement {
            let change = match line.kind {
                MovementKind::Minted => line.amount.decimal(),
                MovementKind::Burned => -line.amount.decimal(),
                MovementKind::TransferredIn | MovementKind::TransferredOut => continue,
            };
            if !ledger.contains_key(version) {
                let number = usize::from(totals::shard_of(line.event_id));
                if let Some(shard) = self.shards.get_mut(number) {
                    shard.uncertain.push((line.event_id, change));
                }
            }
        }
        for wrong in checked.wrong {
            self.account_wrong(pk, &wrong);
        }
        if stored.is_none()
            && let Some(known) = self.aggregates.get_mut(pk)
        {
            // Said already.
            known.has_state = true;
        }
    }

    fn account_wrong(&mut self, aggregate: &str, wrong: &Wrong) {
        let account = shown(aggregate);
        let books = |audit: &mut Self, event_id, what| {
            audit.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
        };
        match *wrong {
            Wrong::VersionTwice { version, event_id } => {
                let what = format!("another event states version {version} of {account} too");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            }
            Wrong::VersionUntold { version } => self.found(
                Kind::Books,
                Some(aggregate),
                None,
                format!("no event and no line of the statement tells of version {version}"),
                "stored state",
                advice::BOOKS,
            ),
            Wrong::LineWithoutEvent { version, event_id } => {
                let what = format!(
                    "the statement of {account} has it as version {version}, the event log does not have it"
                );
                self.about(
                    Kind::OutOfSequence,
                    event_id,
                    None,
                    None,
                    what,
                    advice::SEQUENCE,
                );
            }
            Wrong::EventWithoutLine { version, event_id } => {
                books(
                    self,
                    event_id,
                    format!("the statement of {account} has no line for version {version}"),
                );
            }
            Wrong::OtherLine { version, event_id } => {
                books(
                    self,
                    event_id,
                    format!("line {version} in the statement of {account} says something else"),
                );
            }
            Wrong::Step {
                version,
                event_id,
                expected,
                stated,
            } => books(
                self,
                event_id,
                format!(
                    "states {stated} as the balance of {account} at version {version}; {expected} follows from the event before"
                ),
            ),
            Wrong::Balance {
                event_id,
                expected,
                stored,
                as_if,
            } => match as_if {
                AsIf::Twice(twice) => {
                    let what = format!(
                        "the balance of {account} is {stored} instead of {expected}, as if this event had taken effect twice"
                    );
                    self.about(Kind::Doubled, twice, None, None, what, advice::DOUBLED);
                }
                AsIf::Never(never) => {
                    books(
                        self,
                        never,
                        format!(
                            "the balance of {account} is {stored} instead of {expected}, as if this event had taken no effect"
                        ),
                    );
                }
                AsIf::Unknown => {
                    books(
                        self,
                        event_id,
                        format!(
                            "the balance of {account} is {stored}; its events come to {expected}"
                        ),
                    );
                }
            },
            Wrong::Behind {
                event_id,
                told,
                stored,
            } => {
                books(
                    self,
                    event_id,
                    format!("{account} is stored with version {stored}; its events come to {told}"),
                );
            }
            Wrong::NoAccount { event_id } => {
                books(
                    self,
                    event_id,
                    format!("there is no {account}, though events tell of it"),
                );
            }
        }
    }

    async fn episodes(&mut self, pk: &str, items: Vec<Item>) -> Result<(), Error> {
        let mut wrong = self.episodes_of(items);
        if !wrong.is_empty() {
            // An episode may have begun or ended between two pages: what is still so on another look is wrong.
            let table = self.sources.tables.cloud.clone();
            let page = self
                .page(&Place::Partition(table, pk.to_owned()), None)
                .await?;
            if page.next.is_none() {
                let again = self.episodes_of(page.items);
                wrong.retain(|one| again.contains(one));
            }
        }
        for one in wrong {
            let what = match one {
                WrongEpisode::NeverBegan { episode } => {
                    format!("there is a row of episode {episode}, which never began")
                }
                WrongEpisode::StillOpen { episode } => {
                    format!("the row of episode {episode} is open, the alert is not open with it")
                }
                WrongEpisode::ClosedTooSoon { episode } => {
                    format!("the row of episode {episode} is closed, the alert is open with it")
                }
            };
            self.found(
                Kind::Books,
                Some(pk),
                None,
                what,
                "stored state",
                advice::BOOKS,
            );
        }
        Ok(())
    }

    fn episodes_of(&mut self, items: Vec<Item>) -> Vec<WrongEpisode> {
        let table = self.sources.tables.cloud.clone();
        let mut backing = None;
        let mut alerts = BTreeMap::new();
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                backing = self.typed::<Backing>(&table, item);
            } else if let Some(Ok(episode)) = sk.strip_prefix("episode#").map(str::parse::<u64>) {
                alerts.extend(
                    self.typed::<Alert>(&table, item)
                        .map(|alert| (episode, alert)),
                );
            }
        }
        check_episodes(backing.as_ref(), &alerts)
    }

    /// Aggregates that have events and no state.
    fn missing_states(&mut self) {
        let kinds = [
            Registered::AGGREGATE,
            AccountChanged::AGGREGATE,
            TreasuryBackingLow::AGGREGATE,
            Minted::AGGREGATE,
        ];
        let gone: Vec<EventId> = self
            .aggregates
            .iter()
            .filter(|(name, known)| {
                !known.has_state
                    && name
                        .split('#')
                        .next()
                        .is_some_and(|kind| kinds.contains(&kind))
            })
            .filter_map(|(_, known)| known.last_event)
            .collect();
        for event_id in gone {
            let what =
                "there is no state of what it is about, though it was committed together with it"
                    .to_owned();
            self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
        }
    }

    fn check_totals(&mut self, totals: Option<Vec<Decimal>>) -> Option<Figures> {
        let totals = totals?;
        let name = <cloud_treasury::handler::Treasury as consumer::Handler>::NAME;
        let shards = std::mem::take(&mut self.shards);
        for (number, (shard, stored)) in shards.iter().zip(&totals).enumerate() {
            match check_total(&shard.counted, &shard.uncertain, *stored) {
                Total::Agrees => {}
                // Of a settled stack, what is uncertain is a finding already.
                Total::AgreesWithUncertain if self.options.settled => {}
                Total::AgreesWithUncertain | Total::Unknown => self.counts.moving += 1,
                Total::Wrong { expected, as_if } => {
                    let row = format!(
                        "row {number} of the outstanding total is {stored} instead of {expected}"
                    );
                    match as_if {
                        AsIf::Twice(event_id) => self.about(
                            Kind::Doubled,
                            event_id,
                            Some(name),
                            Some(format!("handled by {name}")),
                            format!("{row}, as if this event had been counted twice"),
                            advice::DOUBLED,
                        ),
                        AsIf::Never(event_id) => self.about(
                            Kind::Lost,
                            event_id,
                            Some(name),
                            Some(format!("marked as handled by {name}")),
                            format!("{row}, as if this event had not been counted"),
                            advice::BOOKS,
                        ),
                        AsIf::Unknown => self.found(
                            Kind::Books,
                            None,
                            None,
                            row,
                            "counted by cloud-treasury",
                            advice::BOOKS,
                        ),
                    }
                }
            }
        }
        let (minted, burned) = self.sums;
        if self.counts.moving == 0 && self.findings.is_empty() && self.balances != minted - burned {
            let what = format!(
                "all balances come to {}, {minted} were minted and {burned} burned",
                self.balances
            );
            self.found(Kind::Books, None, None, what, "stored state", advice::BOOKS);
        }
        let outstanding: Decimal = totals.iter().sum();
        Some(Figures {
            minted: minted.normalize().to_string(),
            burned: burned.normalize().to_string(),
            balances: self.balances.normalize().to_string(),
            outstanding: outstanding.normalize().to_string(),
        })
    }

    // --- notes --------------------------------------------------------------------------------------------------------

    /// Notes that an event comes to.
    fn expect_notes(&mut self, event: &Event) {
        let table = &self.sources.tables.notifications;
        // Events that the consumer does not listen to come to none.
        let Ok(notes) = notifications::handler::notes(&event.envelope, table) else {
            return;
        };
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        let handled = event.handled_by.contains(&name);
        for (member_id, key) in notes {
            self.notes
                .insert(key, (event.envelope.event_id, member_id, handled));
        }
    }

    async fn notifications(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.notifications.clone();
        let places = self.places(&table, |aggregate| {
            let (kind, id) = aggregate.split_once('#')?;
            [Registered::AGGREGATE, Minted::AGGREGATE]
                .contains(&kind)
                .then(|| format!("note#{id}"))
        });
        let looked_at: Option<HashSet<String>> = (!self.scope.is_empty()).then(|| {
            places
                .iter()
                .filter_map(|place| match place {
                    Place::Partition(_, pk) => Some(pk.clone()),
                    Place::Table(_) => None,
                })
                .collect()
        });
        for place in places {
            let mut after = None;
            loop {
                let page = self.page(&place, after).await?;
                for item in page.items {
                    if text(&item, "pk").is_some_and(|pk| pk.starts_with("note#")) {
                        self.note(place.table(), item);
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        let mut missing: Vec<(Key, EventId)> = Vec::new();
        for (key, (event_id, member_id, handled)) in &self.notes {
            let seen = looked_at
                .as_ref()
                .is_none_or(|places| places.contains(&key.pk));
            // Whoever had notes off at any time, or whose history is not all there, may rightly have none.
            let wanted = self
                .aggregates
                .get(&format!("{}#{member_id}", Registered::AGGREGATE))
                .is_some_and(|member| member.whole && member.first == 1)
                && !self.notes_off.contains(member_id.as_str());
            let kept = self
                .index
                .get(event_id)
                .is_some_and(|named| self.age(named.committed_at) < NOTE_LIFE);
            if *handled && seen && wanted && kept {
                missing.push((key.clone(), *event_id));
            }
        }
        missing.sort();
        for (key, event_id) in missing {
            self.about(
                Kind::Lost,
                event_id,
                Some(name),
                Some(format!("marked as handled by {name}")),
                format!("the note that goes with it, {key}, is not there"),
                advice::LOST,
            );
        }
        Ok(())
    }

    fn note(&mut self, table: &Table, item: Item) {
        self.counts.notes += 1;
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let key = table.key(place("pk"), place("sk"));
        if self.notes.remove(&key).is_some() {
            return;
        }
        let Some(note) = self.typed::<Note>(table, item) else {
            return;
        };
        if self.is_young(note.created_at) {
            self.counts.moving += 1;
            return;
        }
        if !self.index.contains_key(&note.event_id) {
            if self.scope.is_empty() {
                let what = format!("note {key} tells of an event that is not in the event log");
                self.about(
                    Kind::Books,
                    note.event_id,
                    None,
                    None,
                    what,
                    advice::SEQUENCE,
                );
            }
            return;
        }
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        self.about(
            Kind::Doubled,
            note.event_id,
            Some(name),
            None,
            format!("note {key} is none that an event of the log comes to"),
            advice::DOUBLED,
        );
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
