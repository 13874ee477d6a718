//! The relay with a bus that fails according to a script, or at random.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use events::Timestamp;
use outbox::{
    BusEntry, Clock, EntryFault, Fault, FaultKind, Item, Publisher, Store,
    log::LogRow,
    memory::MemoryStore,
    relay::{MAX_CALL_BYTES, MAX_ENTRIES, Relay, RelayError, Settings},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::TestClock;

use crate::{
    faulty::{Fate as StoreFate, Faulty},
    fixtures::{committed, events_table},
};

/// The number of items that the DynamoDB adapter puts with one call: `aws::dynamo::MAX_BATCH_WRITE`.
const MAX_BATCH_WRITE: usize = 25;

/// What happens to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fate {
    Taken,
    Transient,
    Permanent,
}

type Script = Box<dyn Fn(&BusEntry, usize) -> Fate + Send + Sync>;

/// A bus that fails whole calls, or decides about an entry by a script, from the entry and the number of its attempts.
pub(crate) struct Bus {
    script: Script,
    calls_fail: Mutex<VecDeque<Option<FaultKind>>>,
    clock: Arc<TestClock>,
    seen: Mutex<HashMap<String, usize>>,
    log: Mutex<Log>,
}

#[derive(Default)]
struct Log {
    /// The entries of each call, in the order in which the calls were started.
    calls: Vec<Vec<(String, u64)>>,
    taken: Vec<(String, u64)>,
    refused: BTreeSet<(String, u64)>,
    in_flight: usize,
    most_in_flight: usize,
    broken_promises: Vec<String>,
}

pub(crate) fn place(entry: &BusEntry) -> (String, u64) {
    let envelope: Value = serde_json::from_str(&entry.detail).expect("JSON");
    (
        envelope["aggregate_id"].as_str().expect("an id").to_owned(),
        envelope["sequence"].as_u64().expect("a sequence"),
    )
}

impl Bus {
    pub(crate) fn new(
        clock: &Arc<TestClock>,
        script: impl Fn(&BusEntry, usize) -> Fate + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            script: Box::new(script),
            calls_fail: Mutex::default(),
            clock: Arc::clone(clock),
            seen: Mutex::default(),
            log: Mutex::default(),
        })
    }

    /// Lets the next calls fail as a whole; `None` lets a call succeed.
    fn fail_calls(&self, kinds: impl IntoIterator<Item = Option<FaultKind>>) {
        self.calls_fail.lock().unwrap().extend(kinds);
    }

    fn calls(&self) -> Vec<Vec<(String, u64)>> {
        self.log.lock().unwrap().calls.clone()
    }

    pub(crate) fn taken(&self) -> Vec<(String, u64)> {
        self.log.lock().unwrap().taken.clone()
    }

    fn broken_promises(&self) -> Vec<String> {
        self.log.lock().unwrap().broken_promises.clone()
    }

    /// Checks a call when it is started: the relay's guarantee about order must hold at that moment.
    fn note_start(&self, places: &[(String, u64)]) {
        let mut log = self.log.lock().unwrap();
        log.in_flight += 1;
        log.most_in_flight = log.most_in_flight.max(log.in_flight);
        let mut highest: BTreeMap<&str, u64> = BTreeMap::new();
        let mut broken = Vec::new();
        for (aggregate, sequence) in places {
            // Within the call the events must be in order. Every earlier event must be in the call, taken or refused.
            let before = highest.insert(aggregate, *sequence).unwrap_or(0);
            if before >= *sequence {
                broken.push(format!(
                    "{aggregate}: {sequence} after {before} in one call"
                ));
            }
            for earlier in 1..*sequence {
                let earlier = (aggregate.clone(), earlier);
                let settled = log.taken.contains(&earlier)
                    || log.refused.contains(&earlier)
                    || places.contains(&earlier);
                if !settled {
                    broken.push(format!(
                        "{aggregate}: {sequence} started before {}",
                        earlier.1
                    ));
                }
            }
        }
        log.broken_promises.extend(broken);
        log.calls.push(places.to_vec());
    }
}

#[async_trait]
impl Publisher for Bus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        let bytes: usize = entries.iter().map(BusEntry::bytes).sum();
        assert!((1..=MAX_ENTRIES).contains(&entries.len()) && bytes <= MAX_CALL_BYTES);
        let places: Vec<(String, u64)> = entries.iter().map(place).collect();
        self.note_start(&places);
        // Calls end in a different order than they started.
        for _ in 0..self.clock.random_below(6) {
            tokio::task::yield_now().await;
        }
        let whole = self.calls_fail.lock().unwrap().pop_front().flatten();
        let mut log = self.log.lock().unwrap();
        log.in_flight -= 1;
        if let Some(kind) = whole {
            return Err(Fault::new(kind, "scripted publish", "scripted"));
        }
        Ok(entries
            .iter()
            .zip(places)
            .map(|(entry, place)| {
                let mut seen = self.seen.lock().unwrap();
                let times = seen.entry(entry.detail.clone()).or_default();
                *times += 1;
                let fault = |permanent| EntryFault {
                    code: "Scripted".into(),
                    message: "by the test".into(),
                    permanent,
                };
                match (self.script)(entry, *times) {
                    Fate::Taken => {
                        log.taken.push(place);
                        Ok(())
                    }
                    Fate::Transient => Err(fault(false)),
                    Fate::Permanent => {
                        log.refused.insert(place);
                        Err(fault(true))
                    }
                }
            })
            .collect())
    }
}

struct Bench {
    memory: Arc<MemoryStore>,
    store: Arc<Faulty>,
    clock: Arc<TestClock>,
    bus: Arc<Bus>,
    relay: Relay,
    items: Vec<Item>,
}

async fn bench_with(
    counts: &[usize],
    settings: Settings,
    script: impl Fn(&BusEntry, usize) -> Fate + Send + Sync + 'static,
) -> Bench {
    let memory = Arc::new(MemoryStore::new());
    let store = Faulty::new(&memory, [], StoreFate::Pass);
    let clock = Arc::new(TestClock::new(11));
    let items = committed(&memory, &clock, counts).await;
    let bus = Bus::new(&clock, script);
    let relay = Relay::new(
        Arc::clone(&bus) as Arc<dyn Publisher>,
        Arc::clone(&store) as Arc<dyn Store>,
        events_table(),
        Arc::clone(&clock) as Arc<dyn Clock>,
        settings,
    );
    Bench {
        memory,
        store,
        clock,
        bus,
        relay,
        items,
    }
}

async fn bench(
    counts: &[usize],
    script: impl Fn(&BusEntry, usize) -> Fate + Send + Sync + 'static,
) -> Bench {
    bench_with(counts, Settings::default(), script).await
}

impl Bench {
    fn rows(&self) -> Vec<LogRow> {
        self.memory
            .items(&events_table())
            .into_iter()
            .map(|item| LogRow::read(item).expect("a row"))
            .collect()
    }

    fn unpublished(&self) -> usize {
        self.rows()
            .iter()
            .filter(|row| row.published_at().is_none())
            .count()
    }

    /// A fresh instance, which remembers nothing.
    fn fresh(&self) -> Relay {
        Relay::new(
            Arc::clone(&self.bus) as Arc<dyn Publisher>,
            Arc::clone(&self.store) as Arc<dyn Store>,
            events_table(),
            Arc::clone(&self.clock) as Arc<dyn Clock>,
            Settings::default(),
        )
    }
}

fn duplicates(taken: &[(String, u64)]) -> usize {
    taken.len() - taken.iter().collect::<BTreeSet<_>>().len()
}

#[tokio::test]
async fn published_events_are_recorded_and_may_expire_from_then_on() {
    let bench = bench(&[2], |_, _| Fate::Taken).await;
    bench.clock.advance(Duration::from_millis(250));
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(invocation.error.is_none());
    let lags: Vec<Duration> = invocation
        .report
        .published
        .iter()
        .map(|published| published.lag)
        .collect();
    assert_eq!(lags, [Duration::from_millis(250); 2]);
    assert!(
        invocation
            .report
            .published
            .iter()
            .all(|published| published.priority == "high" && !published.unrouted)
    );
    assert_eq!(bench.unpublished(), 0);
    // The treasury's events are kept forever.
    let items = bench.memory.items(&events_table());
    assert!(items.iter().all(|item| !item.contains_key("expires_at")));
}

#[tokio::test]
async fn the_envelope_goes_out_byte_for_byte_as_it_was_committed() {
    let clock = Arc::new(TestClock::new(11));
    let memory = Arc::new(MemoryStore::new());
    let items = committed(&memory, &clock, &[1]).await;
    let bus = Arc::new(outbox::memory::MemoryBus::new());
    let relay = Relay::new(
        Arc::clone(&bus) as Arc<dyn Publisher>,
        memory,
        events_table(),
        clock,
        Settings::default(),
    );
    let stored = items[0]["envelope"].as_str().expect("text").to_owned();
    assert!(relay.relay(items).await.error.is_none());
    let sent = bus.take();
    assert_eq!(sent.len(), 1);
    assert_eq!(sent[0].detail, stored);
    assert_eq!(
        (sent[0].source.as_str(), sent[0].detail_type.as_str()),
        ("cloud-api", "treasury.account_changed")
    );
}

#[tokio::test]
async fn a_hundred_events_take_ten_calls_to_the_bus_and_four_writes_however_they_are_spread() {
    for counts in [
        vec![100],
        vec![50, 50],
        vec![34, 33, 33],
        vec![13, 13, 13, 13, 12, 12, 12, 12],
        vec![6; 16].into_iter().chain([4]).collect(),
        vec![11, 1, 88],
        vec![1; 100],
    ] {
        let bench = bench(&counts, |_, _| Fate::Taken).await;
        assert_eq!(bench.items.len(), 100);
        let invocation = bench.relay.relay(bench.items.clone()).await;
        assert!(invocation.error.is_none());
        assert_eq!(invocation.report.calls, 10, "{counts:?}");
        let writes: usize = bench
            .store
            .puts()
            .iter()
            .map(|items| items.div_ceil(MAX_BATCH_WRITE))
            .sum();
        assert_eq!(writes, 4, "{counts:?}");
        assert_eq!(bench.unpublished(), 0);
        assert_eq!(bench.bus.broken_promises(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn different_aggregates_go_out_at_once_up_to_the_limit() {
    let bench = bench(&[10; 20], |_, _| Fate::Taken).await;
    assert!(bench.relay.relay(bench.items.clone()).await.error.is_none());
    let most = bench.bus.log.lock().unwrap().most_in_flight;
    assert_eq!(most, Settings::default().concurrency);
}

fn large_rows(count: usize, bytes: usize) -> Vec<Item> {
    (1..=count)
        .map(|n| {
            let id = format!("large-{n}");
            let envelope = json!({
                "producer": "cloud-api", "priority": "high", "aggregate_id": id, "sequence": 1,
                "payload": {"text": "x".repeat(bytes)},
            });
            let item = json!({
                "aggregate": format!("wallet#{id}"), "sequence": 1, "event_id": format!("event-{n}"),
                "event_type": "cloud.minted", "committed_at": "2026-01-01T00:00:00.000Z",
                "envelope": envelope.to_string(),
            });
            item.as_object().expect("an object").clone()
        })
        .collect()
}

#[tokio::test]
async fn a_call_stays_within_its_size() {
    // The bus of these tests panics if a call exceeds the size limit.
    let bench = bench(&[], |_, _| Fate::Taken).await;
    let invocation = bench.relay.relay(large_rows(7, 100_000)).await;
    assert!(invocation.error.is_none());
    let mut sizes: Vec<usize> = bench.bus.calls().iter().map(Vec::len).collect();
    sizes.sort_unstable();
    assert_eq!(sizes, [1, 2, 2, 2]);
}

#[tokio::test]
async fn an_entry_larger_than_any_call_is_refused_with_both_numbers_and_the_rest_goes_on() {
    let bench = bench(&[], |_, _| Fate::Taken).await;
    let rows = [large_rows(1, 300_000), large_rows(3, 10).split_off(1)].concat();
    let invocation = bench.relay.relay(rows).await;
    assert!(invocation.error.is_none());
    assert_eq!(invocation.report.published.len(), 2);
    let (event_id, reason) = &invocation.report.failed[0];
    assert_eq!(event_id, "event-1");
    assert!(
        reason.contains("300") && reason.contains("262144"),
        "{reason}"
    );
}

#[tokio::test]
async fn only_the_entries_that_failed_are_tried_again() {
    let bench = bench(&[1; 10], |entry, times| {
        let late = place(entry).0.ends_with('3') || place(entry).0.ends_with('7');
        if late && times == 1 {
            Fate::Transient
        } else {
            Fate::Taken
        }
    })
    .await;
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(invocation.error.is_none());
    let sizes: Vec<usize> = bench.bus.calls().iter().map(Vec::len).collect();
    assert_eq!(sizes.iter().sum::<usize>(), 12);
    assert_eq!(sizes[0], 10);
    assert_eq!(
        (invocation.report.errors, duplicates(&bench.bus.taken())),
        (2, 0)
    );
    assert_eq!(bench.unpublished(), 0);
}

#[tokio::test]
async fn later_events_of_an_aggregate_wait_while_an_earlier_one_is_tried_again() {
    let bench = bench(&[25], |entry, times| {
        if place(entry).1 == 3 && times < 3 {
            Fate::Transient
        } else {
            Fate::Taken
        }
    })
    .await;
    assert!(bench.relay.relay(bench.items.clone()).await.error.is_none());
    let calls = bench.bus.calls();
    assert_eq!(bench.bus.broken_promises(), Vec::<String>::new());
    assert!(calls[1].contains(&("acc-0".into(), 3)), "{calls:?}");
    assert_eq!(bench.unpublished(), 0);
}

#[tokio::test]
async fn an_entry_refused_for_good_is_recorded_with_its_reason_and_the_relay_goes_on() {
    let bench = bench(&[3, 2], |entry, _| {
        if place(entry) == ("acc-0".into(), 2) {
            Fate::Permanent
        } else {
            Fate::Taken
        }
    })
    .await;
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(invocation.error.is_none(), "{:?}", invocation.error);
    assert_eq!(invocation.report.failed.len(), 1);
    assert_eq!(bench.bus.taken().len(), 4);
    let failed: Vec<LogRow> = bench
        .rows()
        .into_iter()
        .filter(|row| row.failed_at().is_some())
        .collect();
    assert_eq!(failed.len(), 1);
    assert_eq!(failed[0].sequence, 2);
    assert_eq!(failed[0].last_error(), Some("Scripted: by the test"));
    assert_eq!(failed[0].published_at(), None, "it stays pending");
    assert_eq!(bench.unpublished(), 1);
}

#[tokio::test]
async fn used_up_tries_fail_the_whole_invocation_and_the_next_publishes_only_what_is_missing() {
    let attempts = 3;
    let bench = bench(&[4; 5], move |entry, times| {
        if place(entry) == ("acc-2".into(), 1) && times <= attempts {
            Fate::Transient
        } else {
            Fate::Taken
        }
    })
    .await;
    let first = bench.relay.relay(bench.items.clone()).await;
    match first.error {
        Some(RelayError::Unpublished { unpublished, last }) => {
            assert!(unpublished >= 1);
            assert!(last.contains("Scripted"), "{last}");
        }
        other => panic!("{other:?}"),
    }
    let before = bench.bus.taken().len();
    assert_eq!(first.report.published.len(), before);
    assert_eq!(
        20 - bench.unpublished(),
        before,
        "what was published is recorded"
    );
    let second = bench.relay.relay(bench.items.clone()).await;
    assert!(second.error.is_none());
    assert_eq!(second.report.skipped, before);
    assert_eq!(
        (bench.bus.taken().len(), duplicates(&bench.bus.taken())),
        (20, 0)
    );
    assert_eq!(bench.unpublished(), 0);
    assert_eq!(bench.bus.broken_promises(), Vec::<String>::new());
}

#[tokio::test]
async fn the_circuit_opens_after_five_failed_calls_and_closes_after_its_time() {
    let settings = Settings {
        attempts: 10,
        ..Settings::default()
    };
    let bench = bench_with(&[1], settings, |_, _| Fate::Taken).await;
    bench.bus.fail_calls(vec![Some(FaultKind::Unavailable); 5]);
    let first = bench.relay.relay(bench.items.clone()).await;
    let until = match first.error {
        Some(RelayError::CircuitOpen { until }) => until,
        other => panic!("{other:?}"),
    };
    assert_eq!(bench.bus.calls().len(), 5);
    // While the circuit is open the bus is not called, and the batch fails so that it comes again.
    bench.clock.advance(Duration::from_secs(59));
    let second = bench.relay.relay(bench.items.clone()).await;
    assert!(
        matches!(second.error, Some(RelayError::CircuitOpen { until: still }) if still == until)
    );
    assert_eq!(bench.bus.calls().len(), 5);
    // A batch with nothing to publish does not fail.
    assert!(bench.relay.relay(Vec::new()).await.error.is_none());
    bench.clock.advance(Duration::from_secs(1));
    let third = bench.relay.relay(bench.items.clone()).await;
    assert!(third.error.is_none());
    assert_eq!(bench.unpublished(), 0);
}

#[tokio::test]
async fn failures_that_are_not_in_a_row_leave_the_circuit_closed() {
    let settings = Settings {
        attempts: 10,
        ..Settings::default()
    };
    let bench = bench_with(&[60], settings, |_, _| Fate::Taken).await;
    let fails = Some(FaultKind::Unavailable);
    bench.bus.fail_calls([
        fails, fails, fails, fails, None, fails, fails, fails, fails, None,
    ]);
    assert!(bench.relay.relay(bench.items.clone()).await.error.is_none());
    assert_eq!(bench.unpublished(), 0);
}

#[tokio::test]
async fn answered_calls_of_which_nothing_is_taken_open_the_circuit_too() {
    let settings = Settings {
        attempts: 10,
        ..Settings::default()
    };
    let bench = bench_with(&[3], settings, |_, _| Fate::Transient).await;
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(matches!(
        invocation.error,
        Some(RelayError::CircuitOpen { .. })
    ));
    assert_eq!(bench.bus.calls().len(), 5);
}

#[tokio::test]
async fn a_denied_call_marks_no_event_as_failed() {
    let bench = bench(&[2], |_, _| Fate::Taken).await;
    bench.bus.fail_calls(vec![Some(FaultKind::Denied); 3]);
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(matches!(
        invocation.error,
        Some(RelayError::Unpublished { .. })
    ));
    assert!(invocation.report.failed.is_empty());
    assert!(bench.rows().iter().all(|row| row.failed_at().is_none()));
    assert!(bench.relay.relay(bench.items.clone()).await.error.is_none());
    assert_eq!(bench.unpublished(), 0);
}

/// A bus that rejects every call that contains a certain event.
struct Picky(Arc<Bus>);

#[async_trait]
impl Publisher for Picky {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        if entries
            .iter()
            .any(|entry| place(entry) == ("acc-1".into(), 2))
        {
            return Err(Fault::new(
                FaultKind::Rejected,
                "scripted publish",
                "cannot be parsed",
            ));
        }
        self.0.publish(entries).await
    }
}

#[tokio::test]
async fn an_event_that_makes_the_bus_refuse_whole_calls_fails_alone() {
    let bench = bench(&[3, 3, 3], |_, _| Fate::Taken).await;
    let relay = Relay::new(
        Arc::new(Picky(Arc::clone(&bench.bus))),
        Arc::clone(&bench.store) as Arc<dyn Store>,
        events_table(),
        Arc::clone(&bench.clock) as Arc<dyn Clock>,
        Settings::default(),
    );
    let invocation = relay.relay(bench.items.clone()).await;
    assert!(invocation.error.is_none(), "{:?}", invocation.error);
    assert_eq!(invocation.report.failed.len(), 1);
    assert!(invocation.report.failed[0].1.contains("cannot be parsed"));
    assert_eq!((bench.bus.taken().len(), bench.unpublished()), (8, 1));
}

#[tokio::test]
async fn a_crash_between_publishing_and_recording_costs_duplicates_only() {
    let bench = bench(&[3, 4], |_, _| Fate::Taken).await;
    bench.store.fail_puts(1);
    let crashed = bench.relay.relay(bench.items.clone()).await;
    assert!(matches!(crashed.error, Some(RelayError::Record(_))));
    assert_eq!(bench.unpublished(), 7);
    let invocation = bench.fresh().relay(bench.items.clone()).await;
    assert!(invocation.error.is_none());
    assert_eq!(
        (bench.bus.taken().len(), duplicates(&bench.bus.taken())),
        (14, 7)
    );
    assert_eq!(bench.unpublished(), 0);
}

#[tokio::test]
async fn the_same_instance_records_what_it_published_without_publishing_it_again() {
    let bench = bench(&[3, 4], |_, _| Fate::Taken).await;
    bench.store.fail_puts(1);
    assert!(bench.relay.relay(bench.items.clone()).await.error.is_some());
    let again = bench.relay.relay(bench.items.clone()).await;
    assert!(again.error.is_none());
    assert_eq!((again.report.skipped, again.report.calls), (7, 0));
    assert_eq!((bench.bus.taken().len(), bench.unpublished()), (7, 0));
}

#[tokio::test]
async fn a_damaged_row_is_told_and_does_not_hold_up_the_others() {
    let bench = bench(&[2], |_, _| Fate::Taken).await;
    let mut items = bench.items.clone();
    items[0].remove("envelope");
    let mut garbled = bench.items[0].clone();
    garbled.insert("envelope".into(), json!("{\"producer\""));
    garbled.insert("event_id".into(), json!("garbled"));
    items.push(garbled);
    let invocation = bench.relay.relay(items).await;
    assert!(invocation.error.is_none());
    assert_eq!(invocation.report.unreadable.len(), 1);
    assert!(invocation.report.unreadable[0].contains("envelope"));
    assert_eq!(invocation.report.failed.len(), 1);
    assert_eq!(invocation.report.published.len(), 1);
}

#[tokio::test]
async fn a_record_that_comes_twice_in_a_batch_goes_out_once() {
    let bench = bench(&[2], |_, _| Fate::Taken).await;
    let twice = [bench.items.clone(), bench.items.clone()].concat();
    assert!(bench.relay.relay(twice).await.error.is_none());
    assert_eq!((bench.bus.taken().len(), bench.unpublished()), (2, 0));
}

#[tokio::test]
async fn an_event_nobody_subscribes_to_is_published_and_told() {
    let settings = Settings {
        routed: Some(vec!["cloud.minted".into()]),
        ..Settings::default()
    };
    let bench = bench_with(&[1], settings, |_, _| Fate::Taken).await;
    let invocation = bench.relay.relay(bench.items.clone()).await;
    assert!(invocation.report.published[0].unrouted);
}

#[tokio::test]
async fn the_time_budget_ends_an_invocation() {
    let settings = Settings {
        attempts: 10,
        circuit_failures: 100,
        backoff: Duration::from_secs(3),
        budget: Duration::from_secs(10),
        ..Settings::default()
    };
    let bench = bench_with(&[1], settings, |_, _| Fate::Transient).await;
    let started: Timestamp = bench.clock.now();
    let invocation = bench.relay.relay(bench.items.clone()).await;
    match invocation.error {
        Some(RelayError::Unpublished {
            unpublished: 1,
            last,
        }) => {
            assert!(last.contains("time budget"), "{last}");
        }
        other => panic!("{other:?}"),
    }
    assert!(bench.clock.now().since(started) < Duration::from_secs(40));
}

/// Pseudo-random faults by event and attempt, the same in every run of a case.
fn chance(entry: &BusEntry, times: usize, seed: u64) -> u64 {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    (place(entry), times, seed).hash(&mut hasher);
    hasher.finish() % 100
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn whatever_fails_each_aggregate_starts_in_order_and_nothing_is_lost(
        counts in prop::collection::vec(1_usize..20, 1..9),
        transient in 0_u64..60,
        permanent in 0_u64..10,
        whole_calls in prop::collection::vec(prop::option::weighted(0.3, Just(FaultKind::Unavailable)), 0..12),
        failing_records in 0_usize..3,
        attempts in 1_u32..5,
        concurrency in 1_usize..9,
        seed in any::<u64>(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        runtime.block_on(async {
            let settings = Settings { attempts, concurrency, ..Settings::default() };
            let bench = bench_with(&counts, settings, move |entry, times| {
                // Whether an event is malformed is the same for all attempts. Whether the bus is busy differs between
                // attempts.
                if chance(entry, 0, seed) < permanent {
                    Fate::Permanent
                } else if chance(entry, times, seed) < transient {
                    Fate::Transient
                } else {
                    Fate::Taken
                }
            })
            .await;
            bench.bus.fail_calls(whole_calls);
            bench.store.fail_puts(failing_records);
            let mut invocations = 0;
            loop {
                invocations += 1;
                prop_assert!(invocations < 500, "it never ends");
                let invocation = bench.relay.relay(bench.items.clone()).await;
                if invocation.error.is_none() {
                    break;
                }
                bench.clock.advance(Duration::from_secs(61));
            }
            prop_assert_eq!(bench.bus.broken_promises(), Vec::<String>::new());
            // One instance never publishes an event twice.
            prop_assert_eq!(duplicates(&bench.bus.taken()), 0);
            for row in bench.rows() {
                prop_assert!(row.published_at().is_some() != row.failed_at().is_some());
            }
            let refused = bench.bus.log.lock().unwrap().refused.len();
            prop_assert_eq!(bench.bus.taken().len() + refused, counts.iter().sum::<usize>());
            Ok(())
        })?;
    }
}
