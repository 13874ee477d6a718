//! The relay: publishes the rows that the event log's stream delivers, and records each publication in the log.
//!
//! The order that it guarantees: the relay *starts* an aggregate's events in order. Within one invocation it starts no
//! later call for an aggregate while an earlier event of that aggregate is neither published nor permanently refused.
//! The relay guarantees no other order, and nothing relies on one.
//!
//! Only the log's record (`published_at`) is durable. An instance's memory only saves repeated work: when an invocation
//! fails, the stream delivers the whole batch again, and the same instance skips what it has published. A fresh
//! instance can publish an event twice. Correctness rests on the consumers, which are safe against duplicates.

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
    BusEntry, Clock, EntryFault, Fault, FaultKind, Item, Publisher, Store, Table, execute::chain,
    log::LogRow,
};

/// The largest number of entries in one `PutEvents` call
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>, read 2026-11-21).
pub const MAX_ENTRIES: usize = 10;

/// The largest size of all entries of one `PutEvents` call, in bytes: 256 KB, counted as AWS counts them
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html>, read 2026-11-21).
pub const MAX_CALL_BYTES: usize = 256 * 1024;

/// How many published event ids an instance remembers: more than the largest batch of the event source mapping.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(20_000) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// The relay's settings.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Attempts for one event within one invocation, 1 to 10.
    pub attempts: u32,
    /// The first pause between attempts; it doubles with each attempt.
    pub backoff: Duration,
    /// Concurrent calls to the bus, over different aggregates.
    pub concurrency: usize,
    /// The number of consecutive failed calls that opens the circuit.
    pub circuit_failures: u32,
    /// How long calls are skipped while the circuit is open.
    pub circuit_open: Duration,
    /// The time budget of an invocation. When it is used up, the relay starts no new call.
    pub budget: Duration,
    /// Event types that at least one rule subscribes to. `None` if they are unknown: then no event counts as unrouted.
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
    /// The time from commit to publication.
    pub lag: Duration,
    /// Whether no rule subscribes to the event's type.
    pub unrouted: bool,
}

/// What one invocation did.
#[derive(Debug, Default)]
pub struct Report {
    /// Events that this invocation published.
    pub published: Vec<Published>,
    /// Rows that were skipped: this instance had published the event before, the log records its publication already,
    /// or the row came twice in the batch.
    pub skipped: usize,
    /// Ids of the events that cannot be published, each with the reason: the bus refused the event permanently, or its
    /// row does not make a valid entry. The log records the reason.
    pub failed: Vec<(String, String)>,
    /// Errors of rows that cannot be read: the log is damaged, or another program wrote the row.
    pub unreadable: Vec<String>,
    /// The number of calls to the bus.
    pub calls: usize,
    /// The number of failed attempts, counted for each event.
    pub errors: usize,
}

/// Why an invocation must fail as a whole, so that the stream delivers the batch again.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// Events could not be published in time.
    #[error("{unpublished} events could not be published; last error: {last}")]
    Unpublished {
        /// The number of unpublished events.
        unpublished: usize,
        /// The last error with its sources.
        last: String,
    },
    /// The circuit is open: calls are skipped for a while.
    #[error("the circuit to the bus is open until {until}")]
    CircuitOpen {
        /// The time when calls start again.
        until: Timestamp,
    },
    /// Events were published, but the log does not record it.
    #[error("published events could not be recorded in the event log")]
    Record(#[source] Fault),
}

/// What an invocation did and, if it must fail, why. The caller emits metrics in both cases.
#[derive(Debug)]
pub struct Invocation {
    /// What the invocation did.
    pub report: Report,
    /// Why the stream must deliver the whole batch again.
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
    row: LogRow,
    entry: BusEntry,
    priority: String,
    bytes: usize,
    tries: u32,
    /// Whether the bus rejected a call with this event. The next attempt sends it alone, so that it cannot hold up
    /// others.
    alone: bool,
}

/// The waiting events of one aggregate. The relay keeps these queues in the order in which it first met their
/// aggregates, so that the oldest events go first.
#[derive(Default)]
struct WaitingEvents {
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
    /// Creates a relay that remembers nothing yet.
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

    /// Publishes rows, which are in the stream's order, and records each publication in the log.
    pub async fn relay(&self, items: Vec<Item>) -> Invocation {
        let mut report = Report::default();
        let (mut queues, mut record) = self.sort(items, &mut report);
        let error = self
            .publish_all(&mut queues, &mut record, &mut report)
            .await;
        // The relay records what it published even if the rest failed, so that the next invocation skips it.
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

    /// Groups the rows by aggregate, in order, and leaves out what is done already. Rows that were published before,
    /// but whose publication the log does not record, are returned as the first records to write.
    fn sort(&self, items: Vec<Item>, report: &mut Report) -> (Vec<WaitingEvents>, Vec<Item>) {
        let mut queues: Vec<WaitingEvents> = Vec::new();
        let mut places: HashMap<String, usize> = HashMap::new();
        let mut record = Vec::new();
        let mut seen: HashSet<String> = HashSet::new();
        let mut memory = self.memory();
        for item in items {
            let row = match LogRow::read(item) {
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
            let entry = BusEntry {
                source: head.producer,
                detail_type: row.event_type.clone(),
                detail: row.envelope_json().to_owned(),
                trace_header: head.trace_id.as_ref().map(xray_header),
            };
            let bytes = entry.bytes();
            if bytes > MAX_CALL_BYTES {
                // The entry fits in no call. Commits refuse such events, so another program wrote this row.
                let reason =
                    format!("entry of {bytes} bytes; at most {MAX_CALL_BYTES} fit in a call");
                record.push(row.failed(self.clock.now(), &reason));
                report.failed.push((row.event_id.clone(), reason));
                continue;
            }
            let place = *places.entry(row.aggregate.clone()).or_insert(queues.len());
            if place == queues.len() {
                queues.push(WaitingEvents::default());
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
        queues: &mut [WaitingEvents],
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
                // No call is in flight: either all work is done, or every waiting aggregate pauses before its next
                // attempt.
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

    /// The entries of the next call: the oldest waiting events of aggregates that are neither in flight nor pausing.
    /// One aggregate contributes as many events as fit, in order.
    ///
    /// Empty if a fuller call becomes possible as soon as a call in flight is answered. All calls but the last are
    /// therefore full, and 100 events never need more than 10 calls.
    fn next_batch(queues: &mut [WaitingEvents], now: Timestamp) -> Vec<Pending> {
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
        let entries: Vec<BusEntry> = batch.iter().map(|pending| pending.entry.clone()).collect();
        let answer = self.publisher.publish(&entries).await;
        (batch, answer)
    }

    /// Sorts the results of a call into events that are published, permanently refused, or to be retried. Returns an
    /// error when an event has used up its attempts; the relay then starts no new call.
    fn digest(
        &self,
        batch: Vec<Pending>,
        answer: Result<Vec<Result<(), EntryFault>>, Fault>,
        queues: &mut [WaitingEvents],
        record: &mut Vec<Item>,
        report: &mut Report,
    ) -> Option<String> {
        let now = self.clock.now();
        let mut isolate = false;
        let results = match answer {
            // An answer without a result for every entry proves nothing about any entry.
            Ok(results) if results.len() == batch.len() => {
                // If every entry was refused temporarily, the call counts as failed, although it returned results.
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
            // The bus works but rejects this call: one of the entries is at fault. Sending each entry alone finds it.
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
        // These events go back to the front, in order: they are the oldest of their aggregates.
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
        // The memory only saves repeats. After a panic under this lock its content is still true.
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

impl BusEntry {
    /// The entry's size as the bus counts it: source, detail-type and detail in UTF-8.
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
/// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader>, read
/// 2026-11-21).
fn xray_header(trace: &events::TraceParent) -> String {
    let (epoch, unique) = trace.trace_id().split_at(8);
    format!(
        "Root=1-{epoch}-{unique};Parent={};Sampled={}",
        trace.parent_id(),
        u8::from(trace.sampled())
    )
}
