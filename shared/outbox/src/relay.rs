//! The relay: publishes what the event log's stream shows, and records in the log that it did.
//!
//! What it promises: an aggregate's events are *started* in order, and no later call is started for an aggregate while an
//! earlier event of it is neither published nor refused for good in this invocation. Beyond that no order is promised, and
//! nothing relies on one.
//!
//! Durable is only what the log says (`published_at`). An instance's memory spares repeats within one instance: when an invocation
//! fails, the stream sends the whole batch again, and what this instance published is not published twice. A fresh
//! instance may publish twice; consumers are safe against it.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use events::Timestamp;
use futures::{StreamExt, stream::FuturesUnordered};
use lru::LruCache;
use serde::Deserialize;

use crate::{
    Clock, Entry, EntryFault, Fault, FaultKind, Item, Publisher, Store, Table, execute::chain,
    log::Row,
};

/// Entries in one `PutEvents` call
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>, read 2026-11-21).
pub const MAX_ENTRIES: usize = 10;

/// Bytes of all entries of one `PutEvents` call: 256 KB, counted as AWS counts them
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>, read 2026-11-21).
pub const MAX_CALL_BYTES: usize = 256 * 1024;

/// How many published event ids an instance remembers: more than the largest batch of the stream's mapping.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(20_000) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// The relay's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Tries of an event inside one invocation, 1 to 10.
    pub attempts: u32,
    /// First pause between tries; doubles.
    pub backoff: Duration,
    /// Calls to the bus at once, over different aggregates.
    pub concurrency: usize,
    /// Failed calls in a row that open the circuit.
    pub circuit_failures: u32,
    /// How long an open circuit skips calls.
    pub circuit_open: Duration,
    /// Time an invocation may spend, after which nothing new is started.
    pub budget: Duration,
    /// Event types that some rule subscribes to; `None`: not known, nothing counts as unrouted.
    pub routed: Option<Vec<String>>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            attempts: 3,
            backoff: Duration::from_millis(50),
            concurrency: 8,
            circuit_failures: 5,
            circuit_open: Duration::from_secs(60),
            budget: Duration::from_secs(10),
            routed: None,
        }
    }
}

/// What an instance remembers between invocations.
struct Memory {
    published: LruCache<String, Timestamp>,
    failures_in_row: u32,
    open_until: Option<Timestamp>,
}

/// One published event, for metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Published {
    /// The event's identity.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// The envelope's priority, as text.
    pub priority: String,
    /// From commit to publication.
    pub lag: Duration,
    /// No rule subscribes to its type.
    pub unrouted: bool,
}

/// What one invocation did.
#[derive(Debug, Default)]
pub struct Report {
    /// Published just now.
    pub published: Vec<Published>,
    /// Published by this instance before, or already recorded in the log: skipped.
    pub skipped: usize,
    /// Refused by the bus for good, with its reason; recorded in the log.
    pub failed: Vec<(String, String)>,
    /// Rows that cannot be read; the log is damaged or not ours.
    pub unreadable: Vec<String>,
    /// Calls to the bus.
    pub calls: usize,
    /// Single tries of events that did not succeed.
    pub errors: usize,
}

/// Why an invocation must fail as a whole, so that the stream sends the batch again.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Events could not be published in time.
    #[error("{unpublished} events could not be published; last error: {last}")]
    Unpublished {
        /// How many.
        unpublished: usize,
        /// The last error's chain.
        last: String,
    },
    /// The circuit is open: calls are skipped for a while.
    #[error("the circuit to the bus is open until {until}")]
    CircuitOpen {
        /// Until when.
        until: Timestamp,
    },
    /// Published, but not recorded as published.
    #[error("published events could not be recorded in the event log")]
    Record(#[source] Fault),
}

/// What an invocation did and, if it must fail, why: metrics are owed for both.
#[derive(Debug)]
pub struct Invocation {
    /// What was done.
    pub report: Report,
    /// Why the whole batch must come again.
    pub error: Option<RelayError>,
}

/// The relay over a bus and the event log.
pub struct Relay {
    publisher: Arc<dyn Publisher>,
    store: Arc<dyn Store>,
    events: Table,
    clock: Arc<dyn Clock>,
    settings: Settings,
    memory: Mutex<Memory>,
}

struct Pending {
    place: usize,
    row: Row,
    entry: Entry,
    priority: String,
    bytes: usize,
    tries: u32,
    /// The bus refused a call that held it: next time it goes alone, so that it cannot hold up the others.
    alone: bool,
}

/// What waits of one aggregate. They stand in the order in which their aggregates came, so the oldest go first.
#[derive(Default)]
struct Waiting {
    waiting: VecDeque<Pending>,
    in_flight: bool,
    not_before: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Head {
    producer: String,
    priority: String,
    #[serde(default)]
    trace_id: Option<events::TraceParent>,
}

impl Relay {
    /// A relay.
    pub fn new(
        publisher: Arc<dyn Publisher>,
        store: Arc<dyn Store>,
        events: Table,
        clock: Arc<dyn Clock>,
        settings: Settings,
    ) -> Self {
        let memory = Mutex::new(Memory {
            published: LruCache::new(REMEMBERED),
            failures_in_row: 0,
            open_until: None,
        });
        Self {
            publisher,
            store,
            events,
            clock,
            settings,
            memory,
        }
    }

    /// Publishes rows, given in the stream's order, and records it.
    pub async fn relay(&self, items: Vec<Item>) -> Invocation {
        let mut report = Report::default();
        let (mut queues, mut record) = self.sort(items, &mut report);
        let error = self
            .publish_all(&mut queues, &mut record, &mut report)
            .await;
        // What was published is recorded even when the rest failed: the next try need not look at it again.
        let recorded = if record.is_empty() {
            Ok(())
        } else {
            self.store.put_all(&self.events, &record).await
        };
        let error = match (error, recorded) {
            (Some(error), _) => Some(error),
            (None, Err(fault)) => Some(RelayError::Record(fault)),
            (None, Ok(())) => None,
        };
        Invocation { report, error }
    }

    /// Rows by aggregate, in order; what is done already is left out. Rows whose publication is only missing from the
    /// log come back as the first records to write.
    fn sort(&self, items: Vec<Item>, report: &mut Report) -> (Vec<Waiting>, Vec<Item>) {
        let mut queues: Vec<Waiting> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut record = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut memory = self.memory();
        for item in items {
            let row = match Row::read(item) {
                Ok(row) => row,
                Err(attribute) => {
                    report.unreadable.push(format!(
                        "a row's attribute {attribute} is missing or malformed"
                    ));
                    continue;
                }
            };
            if row.published_at().is_some() {
                report.skipped += 1;
                continue;
            }
            if !seen.insert(row.event_id.clone()) {
                report.skipped += 1;
                continue;
            }
            if let Some(moment) = memory.published.get(&row.event_id) {
                report.skipped += 1;
                record.push(row.published(*moment));
                continue;
            }
            let head: Head = match serde_json::from_str(row.envelope_json()) {
                Ok(head) => head,
                Err(error) => {
                    let reason = format!("envelope: {error}");
                    record.push(row.failed(self.clock.now(), &reason));
                    report.failed.push((row.event_id.clone(), reason));
                    continue;
                }
            };
            let entry = Entry {
                source: head.producer,
                detail_type: row.event_type.clone(),
                detail: row.envelope_json().to_owned(),
                trace_header: head.trace_id.as_ref().map(xray_header),
            };
            let bytes = entry.bytes();
            if bytes > MAX_CALL_BYTES {
                // No call would ever hold it. Commits refuse such events: this row was written by something else.
                let reason = format!("entry of {bytes} bytes; at most {MAX_CALL_BYTES} fit a call");
                record.push(row.failed(self.clock.now(), &reason));
                report.failed.push((row.event_id.clone(), reason));
                continue;
            }
            let place = *places.entry(row.aggregate.clone()).or_insert(queues.len());
            if place == queues.len() {
                queues.push(Waiting::default());
            }
            queues[place].waiting.push_back(Pending {
                place,
                row,
                entry,
                priority: head.priority,
                bytes,
                tries: 0,
                alone: false,
            });
        }
        (queues, record)
    }

    async fn publish_all(
        &self,
        queues: &mut [Waiting],
        record: &mut Vec<Item>,
        report: &mut Report,
    ) -> Option<RelayError> {
        let started = self.clock.now();
        let mut calls = FuturesUnordered::new();
        let mut last_error: Option<String> = None;
        loop {
            while calls.len() < self.settings.concurrency && last_error.is_none() {
                let now = self.clock.now();
                if let Some(until) = self.open_until(now) {
                    if queues.iter().any(|queue| !queue.waiting.is_empty()) {
                        last_error = Some(RelayError::CircuitOpen { until }.to_string());
                    }
                    break;
                }
                if now.since(started) >= self.settings.budget {
                    if queues.iter().any(|queue| !queue.waiting.is_empty()) {
                        last_error = Some("the time budget ran out".to_owned());
                    }
                    break;
                }
                let batch = Self::next_batch(queues, now);
                if batch.is_empty() {
                    break;
                }
                report.calls += 1;
                calls.push(self.call(batch));
            }
            let Some((batch, answer)) = calls.next().await else {
                if last_error.is_some() {
                    break;
                }
                // Nothing under way: either all is done or every waiting aggregate is pausing before its next try.
                let Some(wake) = queues
                    .iter()
                    .filter(|queue| !queue.waiting.is_empty())
                    .filter_map(|l| l.not_before)
                    .min()
                else {
                    break;
                };
                self.clock
                    .sleep(wake.since(self.clock.now()).max(Duration::from_millis(1)))
                    .await;
                continue;
            };
            if let Some(error) = self.digest(batch, answer, queues, record, report) {
                last_error.get_or_insert(error);
            }
        }
        let unpublished: usize = queues.iter().map(|queue| queue.waiting.len()).sum();
        if unpublished == 0 {
            return None;
        }
        Some(match self.open_until(self.clock.now()) {
            Some(until) => RelayError::CircuitOpen { until },
            None => RelayError::Unpublished {
                unpublished,
                last: last_error.unwrap_or_default(),
            },
        })
    }

    /// The next call's entries: the oldest waiting events of aggregates that are neither in flight nor pausing, as many
    /// of one aggregate as fit, in order.
    ///
    /// Empty while a fuller call is possible once one in flight is answered: all calls but the last are full, so that
    /// 100 events never need more than 10 calls.
    fn next_batch(queues: &mut [Waiting], now: Timestamp) -> Vec<Pending> {
        let mut picks: Vec<(usize, usize)> = Vec::new();
        let (mut entries, mut bytes) = (0, 0);
        let (mut full, mut held) = (false, false);
        for (place, queue) in queues.iter().enumerate() {
            if queue.waiting.is_empty() || queue.not_before.is_some_and(|moment| moment > now) {
                continue;
            }
            if queue.in_flight {
                held = true;
                continue;
            }
            let mut picked = 0;
            let mut alone = false;
            for next in &queue.waiting {
                let fits = entries < MAX_ENTRIES
                    && bytes + next.bytes <= MAX_CALL_BYTES
                    && (!next.alone || entries == 0);
                if !fits {
                    full = true;
                    break;
                }
                picked += 1;
                entries += 1;
                bytes += next.bytes;
                if next.alone {
                    alone = true;
                    break;
                }
            }
            if picked > 0 {
                picks.push((place, picked));
            }
            if alone || entries == MAX_ENTRIES {
                full = true;
                break;
            }
        }
        let mut batch: Vec<Pending> = Vec::with_capacity(entries);
        if full || !held {
            for (place, picked) in picks {
                queues[place].in_flight = true;
                batch.extend(queues[place].waiting.drain(..picked));
            }
        }
        batch
    }

    async fn call(
        &self,
        batch: Vec<Pending>,
    ) -> (Vec<Pending>, Result<Vec<Result<(), EntryFault>>, Fault>) {
        let entries: Vec<Entry> = batch.iter().map(|pending| pending.entry.clone()).collect();
        let answer = self.publisher.publish(&entries).await;
        (batch, answer)
    }

    /// Sorts a call's answer into published, failed for good, and to be tried again. Returns an error once an event has
    /// used up its tries: then nothing new is started.
    fn digest(
        &self,
        batch: Vec<Pending>,
        answer: Result<Vec<Result<(), EntryFault>>, Fault>,
        queues: &mut [Waiting],
        record: &mut Vec<Item>,
        report: &mut Report,
    ) -> Option<String> {
        let now = self.clock.now();
        let mut isolate = false;
        let results = match answer {
            // An answer that does not speak of every entry proves nothing about any of them.
            Ok(results) if results.len() == batch.len() => {
                // A call of which nothing was taken, for now, is a failed call, however it was worded.
                let all_failed = results
                    .iter()
                    .all(|result| result.as_ref().is_err_and(|fault| !fault.permanent));
                self.note_call(!all_failed, now);
                results
            }
            Ok(results) => {
                self.note_call(false, now);
                let text = format!("{} results for {} entries", results.len(), batch.len());
                vec![Err(transient(text)); batch.len()]
            }
            // The bus works but refuses this call as such: the fault lies in an entry. Alone, it shows itself.
            Err(fault) if fault.kind == FaultKind::Rejected => {
                self.note_call(true, now);
                isolate = batch.len() > 1;
                let refused = EntryFault {
                    code: "CallRejected".into(),
                    message: chain(&fault),
                    permanent: !isolate,
                };
                vec![Err(refused); batch.len()]
            }
            Err(fault) => {
                self.note_call(false, now);
                vec![Err(transient(chain(&fault))); batch.len()]
            }
        };
        let mut exhausted = None;
        let mut again: Vec<Pending> = Vec::new();
        for pending in &batch {
            queues[pending.place].in_flight = false;
        }
        for (mut pending, result) in batch.into_iter().zip(results) {
            match result {
                Ok(()) => self.note_published(&pending, now, record, report),
                Err(fault) if fault.permanent => {
                    report.errors += 1;
                    let reason = fault.to_string();
                    record.push(pending.row.failed(now, &reason));
                    report.failed.push((pending.row.event_id.clone(), reason));
                }
                Err(fault) => {
                    report.errors += 1;
                    if isolate {
                        pending.alone = true;
                    } else {
                        pending.tries += 1;
                    }
                    if pending.tries >= self.settings.attempts {
                        exhausted = Some(fault.to_string());
                    }
                    again.push(pending);
                }
            }
        }
        // Back to the front, in order: they are their aggregate's oldest.
        for pending in again.into_iter().rev() {
            let queue = &mut queues[pending.place];
            if isolate {
                queue.waiting.push_front(pending);
                continue;
            }
            let pause = self
                .settings
                .backoff
                .saturating_mul(1 << pending.tries.min(8).saturating_sub(1));
            let until = now.plus(self.clock.jittered(pause, 50));
            queue.not_before = queue.not_before.max(Some(until));
            queue.waiting.push_front(pending);
        }
        exhausted
    }

    fn note_published(
        &self,
        pending: &Pending,
        now: Timestamp,
        record: &mut Vec<Item>,
        report: &mut Report,
    ) {
        self.memory()
            .published
            .put(pending.row.event_id.clone(), now);
        record.push(pending.row.published(now));
        let event_type = pending.row.event_type.clone();
        let unrouted = self
            .settings
            .routed
            .as_ref()
            .is_some_and(|routed| !routed.contains(&event_type));
        report.published.push(Published {
            event_id: pending.row.event_id.clone(),
            event_type,
            priority: pending.priority.clone(),
            lag: now.since(pending.row.committed_at),
            unrouted,
        });
    }

    fn note_call(&self, succeeded: bool, now: Timestamp) {
        let mut memory = self.memory();
        if succeeded {
            memory.failures_in_row = 0;
            return;
        }
        memory.failures_in_row += 1;
        if memory.failures_in_row >= self.settings.circuit_failures {
            memory.open_until = Some(now.plus(self.settings.circuit_open));
            memory.failures_in_row = 0;
        }
    }

    fn open_until(&self, now: Timestamp) -> Option<Timestamp> {
        self.memory().open_until.filter(|until| *until > now)
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        // The memory only spares repeats: after a panic while it was held, what it holds is still true.
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Entry {
    /// Its size as the bus counts it: source, detail-type and detail in UTF-8.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.source.len() + self.detail_type.len() + self.detail.len()
    }
}

fn transient(message: String) -> EntryFault {
    EntryFault {
        code: "CallFailed".into(),
        message,
        permanent: false,
    }
}

/// A W3C trace context as an X-Ray header
/// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>, read 2026-11-21).
fn xray_header(trace: &events::TraceParent) -> String {
    let (epoch, unique) = trace.trace_id().split_at(8);
    format!(
        "Root=1-{epoch}-{unique};Parent={};Sampled={}",
        trace.parent_id(),
        u8::from(trace.sampled())
    )
}
