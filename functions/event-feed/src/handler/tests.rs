//! Tests the selection of events, and the writes of one event. `tests/it/flow/event_feed.rs` tests it in the whole
//! pipeline, under any faults.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use events::{Cause, Evidence, Registry, Subscription};
use outbox::{Clock, Mark, Store, encode_item, memory::MemoryStore};
use testkit::TestClock;

use super::*;

#[test]
fn every_event_is_in_the_feed_and_by_cursor_one_without_a_contract_too() {
    let registry = Registry::shipped();
    let shipped = registry.contracts().iter().map(|one| one.event_type);
    for event_type in shipped.chain(["shelf.built"]) {
        assert_eq!(Event::evidence(event_type), Some(Evidence::Cursor));
    }
}

const ENVELOPE: &str = r#"{"event_id":"018f0000-0000-7000-8000-000000000001","event_type":"cloud.burned","event_version":"v1","occurred_at":"2026-01-01T00:00:00.000Z","producer":"cloud-api","correlation_id":"018f0000-0000-7000-8000-000000000001","priority":"high","aggregate_type":"cloud_account","aggregate_id":"ada","sequence":3,"payload":"#;
const SAMPLE: &str = include_str!("../../../../shared/events/samples/cloud/burned-v1/full.json");

fn received(stored: bool) -> Received<Event> {
    let json = format!("{ENVELOPE}{SAMPLE}}}");
    let envelope = Registry::read(&json).expect("an envelope");
    Received {
        event: Event::decode(&envelope).expect("a burn"),
        envelope,
        attempt: 1,
        stored: stored.then_some(json),
    }
}

fn transaction(outbox: &Outbox) -> Transaction {
    let mark = Mark::Episode {
        name: "test",
        number: 1,
        phase: "opened",
    };
    outbox.begin(&mark, &Cause::default())
}

async fn decided(head: Option<Head>, fed: bool, stored: bool) -> Result<String, Failure> {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("feed"));
    let mut items = Vec::new();
    if let Some(head) = head {
        items.push(encode_item(&Head::key(&table), &head).expect("writes"));
    }
    if fed {
        let place = Place {
            aggregate: "cloud_account#ada".into(),
            sequence: 3,
            position: 1,
            expires_at: None,
        };
        let key = Place::key(&table, received(true).envelope.event_id);
        items.push(encode_item(&key, &place).expect("writes"));
    }
    store.put_all(&table, &items).await.expect("put");
    let clock: Arc<dyn Clock> = Arc::new(TestClock::new(1));
    let outbox = Outbox::new(
        store,
        clock,
        Arc::new(Registry::shipped()),
        Table::events("events"),
        Table::marks("marks"),
    );
    let handler = EventFeed::new(outbox.clone(), table, views::feed::LEAST_LIFE);
    let decided = handler
        .decide(&received(stored), transaction(&outbox))
        .await;
    decided.map(|transaction| format!("{transaction:?}"))
}

#[tokio::test]
async fn row_place_and_head_are_one_transaction_and_the_head_must_be_unchanged() {
    let first = decided(None, false, true).await.expect("decides");
    for row in [
        "feed/feed#0/00000000000000000001",
        "feed/event#018f0000-0000-7000-8000-000000000001/place",
        "feed/head/head",
    ] {
        assert!(first.contains(row), "{first}");
    }
    let later = decided(Some(Head { position: 999 }), false, true)
        .await
        .expect("decides");
    assert!(
        later.contains("feed/feed#1/00000000000000001000"),
        "{later}"
    );
}

#[tokio::test]
async fn an_event_that_the_feed_has_already_is_not_fed_again() {
    let head = Some(Head { position: 1 });
    let written = decided(head, true, true).await.expect("decides");
    assert!(!written.contains("feed/"), "{written}");
}

#[tokio::test]
async fn without_the_bytes_of_the_log_there_is_no_row() {
    assert!(decided(None, false, false).await.is_err());
}
