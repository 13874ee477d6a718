//! Tests the selection of events, and what the handler does if its cursor does not match the end of the chain.
//! `tests/it/flow/audit_log.rs` tests it in the whole pipeline, under any faults.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use events::{Cause, Evidence, Registry, Retention, Subscription};
use outbox::{Clock, Mark, encode_item, memory::MemoryStore};
use testkit::{
    TestClock,
    costs::{envelope, sample},
};

use super::*;

/// Events that are kept only for a week are neither about money nor about who did what: alerts, stock.
#[test]
fn every_event_that_is_kept_for_ever_is_in_the_audit_log_and_by_cursor() {
    for contract in Registry::shipped().contracts() {
        let kept = contract.retention == Retention::Forever;
        let heard = Event::evidence(contract.event_type);
        assert_eq!(heard, kept.then_some(Evidence::Cursor), "{contract:?}");
    }
}

#[test]
fn a_new_event_of_a_money_domain_is_in_the_audit_log_before_this_code_knows_its_contract() {
    for (event_type, heard) in [("cloud.gifted", true), ("supplier.promoted", false)] {
        let envelope =
            Registry::read(&format!("{ENVELOPE}{{}}}}").replace("cloud.burned", event_type));
        let decoded = Event::decode(&envelope.expect("an envelope"));
        assert_eq!(decoded.is_ok(), heard, "{event_type}");
    }
}

const ADA: &str = "cloud_account#ada";
const ENVELOPE: &str = r#"{"event_id":"018f0000-0000-7000-8000-000000000001","event_type":"cloud.burned","event_version":"v1","occurred_at":"2026-01-01T00:00:00.000Z","producer":"cloud-api","correlation_id":"018f0000-0000-7000-8000-000000000001","priority":"high","aggregate_type":"cloud_account","aggregate_id":"ada","sequence":3,"payload":"#;
const SAMPLE: &str = include_str!("../../../../shared/events/samples/cloud/burned-v1/full.json");

fn burned(stored: bool) -> Received<Event> {
    received(format!("{ENVELOPE}{SAMPLE}}}"), stored)
}

fn received(json: String, stored: bool) -> Received<Event> {
    let envelope = Registry::read(&json).expect("an envelope");
    Received {
        event: Event::decode(&envelope).expect("an event of its own"),
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

async fn decided(head: Option<Head>, received: Received<Event>) -> Result<String, Failure> {
    let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("audit"));
    if let Some(head) = head {
        let item = encode_item(&head_key(&table, ADA), &head).expect("writes");
        outbox::Store::put_all(&*store, &table, &[item])
            .await
            .expect("put");
    }
    let clock: Arc<dyn Clock> = Arc::new(TestClock::new(1));
    let outbox = Outbox::new(
        store,
        clock,
        Arc::new(Registry::shipped()),
        Table::events("events"),
        Table::marks("marks"),
    );
    let handler = AuditLog::new(outbox.clone(), table);
    let decided = handler.decide(&received, transaction(&outbox)).await;
    decided.map(|transaction| format!("{transaction:?}"))
}

#[tokio::test]
async fn an_entry_and_its_head_are_one_transaction() {
    let written = decided(None, burned(true)).await.expect("decides");
    for row in [
        "audit/chain#cloud_account#ada/00000000000000000001",
        "audit/heads#",
    ] {
        assert!(written.contains(row), "{written}");
    }
}

#[tokio::test]
async fn an_event_of_each_type_is_an_entry_of_its_own_aggregate() {
    for subscribed in Event::SELECTION.types() {
        let name = subscribed.event_type;
        let json = envelope(name, &sample(name)).to_string();
        let received = received(json, true);
        let chain = format!("audit/chain#{}/", received.envelope.aggregate());
        let written = decided(None, received).await.expect("decides");
        assert!(written.contains(&chain), "{name}: {written}");
    }
}

#[tokio::test]
async fn an_event_that_the_chain_has_already_is_not_added_again() {
    let head = Head {
        aggregate: ADA.into(),
        number: 2,
        sequence: 3,
        hash: audit_chain::Hash::START,
    };
    let written = decided(Some(head), burned(true)).await.expect("decides");
    assert!(!written.contains("audit/"), "{written}");
}

#[tokio::test]
async fn without_the_bytes_of_the_log_there_is_no_entry() {
    assert!(decided(None, burned(false)).await.is_err());
}
