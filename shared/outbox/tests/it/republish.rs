//! The walk that publishes rows which the stream no longer delivers.

use std::{sync::Arc, time::Duration};

use outbox::{
    BusEntry, Clock, Cursor, Item, Publisher, Scan, Store,
    log::LogRow,
    memory::{MemoryStore, ScanOrder},
    relay::{Relay, RelayError, Settings},
    republish::{Counts, Options, RepublishError, Summary, republish},
};
use testkit::TestClock;

use crate::{
    faulty::{Fate as StoreFate, Faulty},
    fixtures::{committed, events_table},
    relay::{Bus, Fate, place},
};

struct Bench {
    memory: Arc<MemoryStore>,
    store: Arc<Faulty>,
    clock: Arc<TestClock>,
    bus: Arc<Bus>,
    relay: Relay,
}

async fn bench(
    counts: &[usize],
    script: impl Fn(&BusEntry, usize) -> Fate + Send + Sync + 'static,
) -> Bench {
    scanning(ScanOrder::Keys, counts, script).await
}

async fn scanning(
    order: ScanOrder,
    counts: &[usize],
    script: impl Fn(&BusEntry, usize) -> Fate + Send + Sync + 'static,
) -> Bench {
    let memory = Arc::new(MemoryStore::scanning(order));
    let store = Faulty::new(&memory, [], StoreFate::Pass);
    let clock = Arc::new(TestClock::new(21));
    committed(&memory, &clock, counts).await;
    let bus = Bus::new(&clock, script);
    let relay = Relay::new(
        Arc::clone(&bus) as Arc<dyn Publisher>,
        Arc::clone(&store) as Arc<dyn Store>,
        events_table(),
        Arc::clone(&clock) as Arc<dyn Clock>,
        Settings::default(),
    );
    Bench {
        memory,
        store,
        clock,
        bus,
        relay,
    }
}

impl Bench {
    async fn walk(&self, options: &Options) -> Summary {
        republish(
            &self.relay,
            &*self.store,
            &events_table(),
            &*self.clock,
            options,
            |_, _| {},
        )
        .await
    }

    fn pending(&self) -> usize {
        self.memory
            .items(&events_table())
            .into_iter()
            .map(|item: Item| LogRow::read(item).expect("a row"))
            .filter(|row| row.published_at().is_none())
            .count()
    }
}

fn all() -> Options {
    Options {
        older_than: Duration::ZERO,
        ..Options::default()
    }
}

#[tokio::test]
async fn pending_events_are_published_in_order_and_recorded() {
    let bench = bench(&[7, 3, 150], |_, _| Fate::Taken).await;
    let summary = bench.walk(&all()).await;
    assert!(summary.error.is_none());
    assert_eq!((summary.counts.published, summary.next), (160, None));
    assert_eq!(bench.pending(), 0);
    for account in ["acc-0", "acc-1", "acc-2"] {
        let sequences: Vec<u64> = bench
            .bus
            .taken()
            .into_iter()
            .filter(|(aggregate, _)| aggregate == account)
            .map(|(_, sequence)| sequence)
            .collect();
        assert!(sequences.is_sorted(), "{account}: {sequences:?}");
    }
    // A second walk does not find published rows.
    let again = bench.walk(&all()).await;
    assert_eq!((again.counts.published, bench.bus.taken().len()), (0, 160));
}

/// The number of events that came after a later event of their aggregate within the same hundred entries.
fn turned_round(taken: &[(String, u64)]) -> usize {
    let pages = taken.chunks(100);
    pages
        .flat_map(|page| {
            page.iter()
                .enumerate()
                .map(move |(at, one)| (page, at, one))
        })
        .filter(|(page, at, (aggregate, sequence))| {
            let mut before = page[..*at].iter();
            before.any(|(other, number)| other == aggregate && number > sequence)
        })
        .count()
}

#[tokio::test]
async fn a_page_is_published_in_order_whatever_the_order_in_which_it_was_scanned() {
    for order in [
        ScanOrder::Text,
        ScanOrder::Shuffled(1),
        ScanOrder::Shuffled(2),
    ] {
        let bench = scanning(order, &[27, 3, 150], |_, _| Fate::Taken).await;
        let summary = bench.walk(&all()).await;
        assert!(summary.error.is_none());
        assert_eq!((summary.counts.published, bench.pending()), (180, 0));
        assert_eq!(turned_round(&bench.bus.taken()), 0, "{order:?}");
        // In the order of the scan, events would have been out of order.
        let scan = Scan {
            table: events_table(),
            without: None,
            limit: 100,
            after: None,
        };
        let page = bench.memory.scan(&scan).await.expect("answers");
        let scanned: Vec<(String, u64)> = page
            .items
            .into_iter()
            .map(|item| LogRow::read(item).expect("a row"))
            .map(|row| (row.aggregate.clone(), row.sequence))
            .collect();
        assert!(turned_round(&scanned) > 0, "{order:?}");
    }
}

#[tokio::test]
async fn a_limited_walk_goes_on_exactly_where_it_stopped_in_any_order() {
    for order in [ScanOrder::Text, ScanOrder::Shuffled(1)] {
        let bench = scanning(order, &[14, 4, 4], |_, _| Fate::Taken).await;
        let mut options = Options {
            limit: Some(5),
            ..all()
        };
        let mut published = Vec::new();
        while published.len() < 5 {
            let summary = bench.walk(&options).await;
            assert!(summary.error.is_none());
            published.push(summary.counts.published);
            options.after = summary.next;
        }
        assert_eq!(published, [5, 5, 5, 5, 2], "{order:?}");
        assert_eq!((bench.bus.taken().len(), bench.pending()), (22, 0));
    }
}

#[tokio::test]
async fn young_events_are_left_to_the_stream() {
    let bench = bench(&[2], |_, _| Fate::Taken).await;
    bench.clock.advance(Duration::from_secs(3600));
    committed(&bench.memory, &bench.clock, &[0, 3]).await;
    let summary = bench
        .walk(&Options {
            older_than: Duration::from_secs(600),
            ..Options::default()
        })
        .await;
    let counts = Counts {
        pages: 1,
        published: 2,
        too_young: 3,
        ..Counts::default()
    };
    assert_eq!(summary.counts, counts);
    assert_eq!(bench.pending(), 3);
}

#[tokio::test]
async fn events_refused_for_good_come_back_only_when_asked_for() {
    let mended = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let cause = Arc::clone(&mended);
    let bench = bench(&[3], move |entry, _| {
        let mended = cause.load(std::sync::atomic::Ordering::SeqCst);
        if place(entry).1 == 2 && !mended {
            Fate::Permanent
        } else {
            Fate::Taken
        }
    })
    .await;
    let first = bench.walk(&all()).await;
    assert_eq!((first.counts.published, first.counts.refused), (2, 1));
    mended.store(true, std::sync::atomic::Ordering::SeqCst);
    let second = bench.walk(&all()).await;
    assert_eq!((second.counts.published, second.counts.left_failed), (0, 1));
    let third = bench
        .walk(&Options {
            include_failed: true,
            ..all()
        })
        .await;
    assert_eq!((third.counts.published, bench.pending()), (1, 0));
}

#[tokio::test]
async fn a_limited_walk_goes_on_exactly_where_it_stopped() {
    let bench = bench(&[4, 4, 4], |_, _| Fate::Taken).await;
    let mut options = Options {
        limit: Some(5),
        ..all()
    };
    let mut published = Vec::new();
    loop {
        let summary = bench.walk(&options).await;
        assert!(summary.error.is_none());
        published.push(summary.counts.published);
        match summary.next {
            Some(next) => {
                // The cursor goes through its text form, as when an operator passes it on.
                let text = next.to_text();
                assert!(
                    text.bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b))
                );
                options.after = Cursor::from_text(&text);
                assert!(options.after.is_some());
            }
            None => break,
        }
    }
    assert_eq!(published, [5, 5, 2]);
    assert_eq!((bench.bus.taken().len(), bench.pending()), (12, 0));
}

#[test]
fn a_text_that_is_no_cursor_is_refused() {
    for text in ["", "###", "bm90IGpzb24", "WzFd"] {
        assert_eq!(Cursor::from_text(text), None, "{text}");
    }
}

#[tokio::test]
async fn reading_is_paced_to_the_rows_per_second_asked_for() {
    let bench = bench(&[100], |_, _| Fate::Taken).await;
    for (rows_per_second, seconds) in [(10, 9), (50, 1), (1000, 0)] {
        let started = bench.clock.now();
        let mut pages = 0;
        let options = Options {
            rows_per_second,
            ..all()
        };
        let summary = republish(
            &bench.relay,
            &*bench.store,
            &events_table(),
            &*bench.clock,
            &options,
            |counts, _| pages = counts.pages,
        )
        .await;
        assert!(summary.error.is_none());
        assert_eq!(pages, summary.counts.pages, "every page is reported");
        let took = bench.clock.now().since(started);
        assert_eq!(
            took.as_secs(),
            seconds,
            "at {rows_per_second} rows per second"
        );
    }
}

#[tokio::test]
async fn a_bus_that_stays_down_ends_the_walk_where_it_can_go_on() {
    let up = Arc::new(std::sync::atomic::AtomicBool::new(false));
    let state = Arc::clone(&up);
    let bench = bench(&[150], move |entry, _| {
        let up = state.load(std::sync::atomic::Ordering::SeqCst);
        if place(entry).1 > 100 && !up {
            Fate::Transient
        } else {
            Fate::Taken
        }
    })
    .await;
    let stopped = bench.walk(&all()).await;
    assert!(matches!(
        stopped.error,
        Some(RepublishError::Publish(
            RelayError::Unpublished { .. } | RelayError::CircuitOpen { .. }
        ))
    ));
    assert_eq!(stopped.counts.published, 100);
    assert!(stopped.next.is_some());
    up.store(true, std::sync::atomic::Ordering::SeqCst);
    bench.clock.advance(Duration::from_secs(120));
    let resumed = bench
        .walk(&Options {
            after: stopped.next,
            ..all()
        })
        .await;
    assert!(resumed.error.is_none());
    assert_eq!((resumed.counts.published, bench.pending()), (50, 0));
}

#[tokio::test]
async fn a_bus_that_comes_back_in_time_does_not_end_the_walk() {
    let bench = bench(&[5], |_, times| {
        if times <= 4 {
            Fate::Transient
        } else {
            Fate::Taken
        }
    })
    .await;
    let summary = bench.walk(&all()).await;
    assert!(summary.error.is_none(), "{:?}", summary.error);
    assert_eq!((summary.counts.published, bench.pending()), (5, 0));
}

#[tokio::test]
async fn a_page_that_could_not_be_recorded_is_recorded_without_publishing_it_again() {
    let bench = bench(&[5], |_, _| Fate::Taken).await;
    bench.store.fail_puts(1);
    let summary = bench.walk(&all()).await;
    assert!(summary.error.is_none());
    let counts = summary.counts;
    assert_eq!((counts.published, counts.recorded), (0, 5));
    assert_eq!((bench.bus.taken().len(), bench.pending()), (5, 0));
}
