//! Tests the handler in the whole pipeline, in memory, with the frozen sample of every event that it handles.

use std::collections::BTreeSet;

use consumer::ParkReason;
use events::{Contract as _, Subscription as _};
use outbox::Item;
use serde_json::{Value, json};
use testkit::flow::{DeadLetter, Faults, Flow};
use views::activity;

use super::*;

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../shared/events/samples/wallet/",
            $name,
            "-v1/full.json"
        ))
    };
}

const SAMPLES: [(&str, &str); 4] = [
    (EscrowHeld::TYPE, sample!("escrow-held")),
    (EscrowSettled::TYPE, sample!("escrow-settled")),
    (EscrowRefunded::TYPE, sample!("escrow-refunded")),
    (
        EscrowPartialSettled::TYPE,
        sample!("escrow-partial-settled"),
    ),
];

fn table() -> Table {
    Table::domain("activity")
}

fn flow(faults: Faults) -> Flow {
    Flow::builder(1)
        .faults(faults)
        .consumer(|_| ActivityFeed::new(table()))
        .build()
        .expect("a flow")
}

/// A message about ada that occurred at a given moment, as an envelope that a test can change.
fn message(flow: &Flow, event_type: &str, at: &str) -> Value {
    let (_, sample) = SAMPLES
        .into_iter()
        .find(|(known, _)| *known == event_type)
        .expect("a sample");
    let body = flow.message(event_type, sample).expect("a contract");
    let mut envelope: Value = serde_json::from_str(&body).expect("JSON");
    envelope["occurred_at"] = json!(at);
    envelope["payload"]["user_id"] = json!("ada");
    match event_type {
        EscrowPartialSettled::TYPE => {
            envelope["payload"]["refund_amount"] = json!(30.25);
            envelope["payload"]["settle_amount"] = json!(69.75);
        }
        _ => envelope["payload"]["amount"] = json!(100),
    }
    envelope
}

fn feed(flow: &Flow, user: &str) -> Vec<Activity> {
    let user = MemberId::new(user).expect("an id");
    let read = flow.look(|site| async move {
        let query = activity::page(&table(), &user, 100, None);
        site.outbox().rows::<Activity>(&query).await
    });
    read.expect("reads").0
}

fn rows(flow: &Flow) -> Vec<Item> {
    flow.store().items(&table())
}

#[test]
fn every_event_it_listens_to_has_a_sample_here() {
    let types = Event::SELECTION.types();
    let heard: BTreeSet<&str> = types.iter().map(|one| one.event_type).collect();
    let sampled: BTreeSet<&str> = SAMPLES.iter().map(|(event_type, _)| *event_type).collect();
    assert_eq!(heard, sampled);
}

#[test]
fn each_event_is_one_entry_of_its_user_newest_first_whatever_order_they_come_in() {
    let mut flow = flow(Faults::NONE);
    for (minute, event_type) in [
        (3, EscrowPartialSettled::TYPE),
        (0, EscrowHeld::TYPE),
        (2, EscrowRefunded::TYPE),
        (1, EscrowSettled::TYPE),
    ] {
        let at = format!("2026-01-01T10:0{minute}:00.000Z");
        let event = message(&flow, event_type, &at);
        assert!(flow.send(ActivityFeed::NAME, event.to_string()));
    }
    flow.drain().expect("drains");
    let part = |part: Option<Points>| part.map_or_else(|| "-".to_owned(), |part| part.to_string());
    let activities: Vec<String> = feed(&flow, "ada")
        .iter()
        .map(|one| {
            let (refunded, settled) = (part(one.refund_amount), part(one.settle_amount));
            format!(
                "{} {} {} {refunded} {settled}",
                one.occurred_at, one.event_type, one.amount
            )
        })
        .collect();
    assert_eq!(
        activities,
        [
            "2026-01-01T10:03:00.000Z wallet.escrow_partial_settled 100.00 30.25 69.75",
            "2026-01-01T10:02:00.000Z wallet.escrow_refunded 100.00 - -",
            "2026-01-01T10:01:00.000Z wallet.escrow_settled 100.00 - -",
            "2026-01-01T10:00:00.000Z wallet.escrow_held 100.00 - -",
        ]
    );
    // The model that earned the points gets no entry.
    assert_eq!(feed(&flow, "model-7"), []);
}

#[test]
fn an_entry_is_kept_for_ninety_days_after_what_it_tells() {
    let mut flow = flow(Faults::NONE);
    let event = message(&flow, EscrowHeld::TYPE, "2026-01-01T00:00:00.000Z");
    assert!(flow.send(ActivityFeed::NAME, event.to_string()));
    flow.drain().expect("drains");
    let [row] = rows(&flow).try_into().expect("one row");
    let goes =
        events::Timestamp::from_unix_millis(row["expires_at"].as_i64().expect("seconds") * 1_000);
    assert_eq!(
        goes.expect("in range").to_string(),
        "2026-04-01T00:00:00.000Z"
    );
}

#[test]
fn copies_make_one_entry_by_id_and_by_the_facts_key_under_another_id() {
    let mut flow = flow(Faults::STORM);
    for (event_type, _) in SAMPLES {
        let mut event = message(&flow, event_type, "2026-01-01T10:00:00.000Z");
        event["idempotency_key"] = json!(format!("fact/{event_type}"));
        let mut again = message(&flow, event_type, "2026-01-01T10:00:07.000Z");
        again["idempotency_key"] = event["idempotency_key"].clone();
        assert_ne!(event["event_id"], again["event_id"]);
        for copy in [&event, &event, &again, &event, &again] {
            assert!(flow.send(ActivityFeed::NAME, copy.to_string()));
        }
    }
    flow.drain().expect("drains");
    let activities: BTreeSet<String> = feed(&flow, "ada")
        .iter()
        .map(|one| one.event_type.to_string())
        .collect();
    assert_eq!((activities.len(), rows(&flow).len()), (4, 4));
    assert_eq!(flow.letters(ActivityFeed::NAME), []);
}

#[test]
fn parts_that_were_never_one_amount_and_what_is_none_of_its_events_are_letters() {
    let mut flow = flow(Faults::NONE);
    let mut impossible = message(
        &flow,
        EscrowPartialSettled::TYPE,
        "2026-01-01T10:00:00.000Z",
    );
    impossible["payload"]["refund_amount"] = json!(0.01);
    impossible["payload"]["settle_amount"] = json!(9_999_999_999_999.99);
    let mut broken = message(&flow, EscrowHeld::TYPE, "2026-01-01T10:00:00.000Z");
    broken["payload"]["amount"] = json!(-1);
    for body in [
        impossible.to_string(),
        broken.to_string(),
        "no event".to_owned(),
    ] {
        assert!(flow.send(ActivityFeed::NAME, body));
    }
    flow.drain().expect("drains");
    let reasons: Vec<ParkReason> = flow
        .letters(ActivityFeed::NAME)
        .iter()
        .filter_map(|letter| match letter {
            DeadLetter::Parked(letter) => Some(letter.reason),
            _ => None,
        })
        .collect();
    assert_eq!(reasons.len(), 3, "{reasons:?}");
    assert!(reasons.contains(&ParkReason::Rejected), "{reasons:?}");
    assert_eq!(rows(&flow).len(), 0);
}
