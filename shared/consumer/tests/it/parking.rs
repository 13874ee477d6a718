//! Which messages are parked at once, and how.

use std::time::Duration;

use consumer::{Message, Outcome, ParkReason};
use events::contracts::operation::FirstReplay;
use outbox::Clock;
use serde_json::json;

use crate::bench::{Act, Bench, lane, minted, moment, outcomes, updated};

#[tokio::test(start_paused = true)]
async fn a_bad_body_is_parked_at_first_sight_and_its_neighbours_are_handled() {
    let bench = Bench::new();
    let mut unknown_type = minted(3);
    unknown_type["event_type"] = json!("cloud.evaporated");
    let mut unknown_version = minted(4);
    unknown_version["event_version"] = json!("v7");
    let mut invalid = minted(5);
    invalid["payload"]["amount"] = json!(-1);
    invalid["payload"]
        .as_object_mut()
        .unwrap()
        .remove("balance_after");
    let mut no_envelope = minted(6);
    no_envelope["event_id"] = json!("evt_6");
    no_envelope.as_object_mut().unwrap().remove("producer");
    let bodies = [
        ("good-1", minted(1).to_string()),
        ("not-json", "{\"event_id\": ".to_owned()),
        ("unknown-type", unknown_type.to_string()),
        ("unknown-version", unknown_version.to_string()),
        ("invalid", invalid.to_string()),
        ("no-envelope", no_envelope.to_string()),
        ("good-2", minted(2).to_string()),
    ];
    let messages = bodies
        .iter()
        .map(|(id, body)| bench.message(id, body.as_str(), 1));
    let summary = bench.batch(messages.collect()).await;

    let parked = Outcome::Parked;
    assert_eq!(
        outcomes(&summary),
        [
            ("good-1".to_owned(), Outcome::Done),
            ("good-2".to_owned(), Outcome::Done),
            ("invalid".to_owned(), parked(ParkReason::Invalid)),
            ("no-envelope".to_owned(), parked(ParkReason::Malformed)),
            ("not-json".to_owned(), parked(ParkReason::Malformed)),
            ("unknown-type".to_owned(), parked(ParkReason::UnknownType)),
            (
                "unknown-version".to_owned(),
                parked(ParkReason::UnknownVersion)
            ),
        ]
    );
    assert!(summary.failed().is_empty());
    assert_eq!(bench.effects(), 2);
    let letter = |body: &str| {
        let letters = bench.letters();
        letters
            .into_iter()
            .find(|letter| letter.body == body)
            .expect("a letter with the body as it was")
    };
    // All violations are reported together, each with its pointer.
    let error = letter(&bodies[4].1).error;
    assert!(
        error.contains("/payload/amount")
            && error.contains("/payload")
            && error.contains("balance_after"),
        "{error}"
    );
    let error = letter(&bodies[5].1).error;
    assert!(
        error.contains("/event_id") && error.contains("producer"),
        "{error}"
    );
    assert_eq!(letter(&bodies[1].1).event_id, None);
    // The dead letter has the fields that can be read from an invalid envelope.
    assert_eq!(
        letter(&bodies[5].1).event_type.as_deref(),
        Some("cloud.minted")
    );
}

#[tokio::test(start_paused = true)]
async fn a_handler_parks_by_word_at_the_first_try() {
    let bench = Bench::new();
    bench.script.decide([Act::Park]);
    let outcome = bench
        .one(bench.message("m", minted(1).to_string(), 1))
        .await;
    assert_eq!(outcome, Outcome::Parked(ParkReason::Rejected));
    assert_eq!(bench.letters()[0].error, "the account was closed");
    assert_eq!(bench.script.settled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_letter_says_who_parked_what_why_and_when() {
    let bench = Bench::new();
    bench.failed(1, 3).await;
    let message = bench.message("m", minted(1).to_string(), 9);
    let first = bench.clock.now();
    bench.clock.advance(Duration::from_secs(370));
    bench.script.decide([Act::Retry]);
    bench.one(message).await;
    let letters = bench.queues.letters.lock().unwrap().clone();
    let (url, letter) = letters.first().expect("a letter");
    assert_eq!(*url, lane().dead_letter_queue_url);
    assert_eq!(letter.body, minted(1).to_string());
    let attributes = letter.attributes();
    let mut names: Vec<&str> = attributes.iter().map(|(name, _)| *name).collect();
    names.sort_unstable();
    assert_eq!(
        names,
        [
            "attempts",
            "consumer",
            "error",
            "event_id",
            "event_type",
            "first_received_at",
            "parked_at",
            "reason"
        ]
    );
    let value = |name: &str| {
        let found = attributes.iter().find(|(other, _)| *other == name);
        found.map(|(_, value)| value.as_str()).expect("there")
    };
    assert_eq!(value("consumer"), "scripted");
    assert_eq!(value("event_id"), "018f0000-0000-7000-8000-000000000001");
    assert_eq!(value("event_type"), "cloud.minted");
    assert_eq!(value("reason"), "retries_exhausted");
    assert_eq!(value("error"), "the disk is full");
    assert_eq!(value("attempts"), "4");
    assert_eq!(value("first_received_at"), first.to_string());
    assert_eq!(value("parked_at"), bench.clock.now().to_string());
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_parked_comes_back_and_is_parked_then() {
    let bench = Bench::new();
    *bench.queues.broken.lock().unwrap() = true;
    let summary = bench.batch(vec![bench.message("m", "nonsense", 1)]).await;
    assert_eq!(summary.finished[0].outcome, Outcome::NotParked);
    assert_eq!(summary.failed(), ["m"]);
    assert!(bench.letters().is_empty());

    *bench.queues.broken.lock().unwrap() = false;
    let outcome = bench.one(bench.message("m", "nonsense", 2)).await;
    assert_eq!(outcome, Outcome::Parked(ParkReason::Malformed));
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_one_records_retry() {
    let bench = Bench::new();
    bench.script.decide([Act::Panic]);
    let messages = vec![
        bench.message("1", minted(1).to_string(), 1),
        bench.message("2", minted(2).to_string(), 1),
        bench.message("3", updated(3, "Ada").to_string(), 1),
    ];
    let summary = bench.batch(messages).await;
    let [(_, first), (_, second), (_, third)] = &outcomes(&summary)[..] else {
        panic!("three")
    };
    assert!(matches!(first, Outcome::Retry(_)), "{first:?}");
    assert_eq!((*second, *third), (Outcome::Done, Outcome::Done));
    assert_eq!(summary.failed(), ["1"]);

    bench.failed(1, 3).await;
    bench.script.decide([Act::Panic]);
    bench
        .one(bench.message("1", minted(1).to_string(), 4))
        .await;
    assert_eq!(
        bench.letters()[0].error,
        "the handler panicked: index out of bounds"
    );
}

#[tokio::test(start_paused = true)]
async fn a_panic_while_decoding_is_one_records_retry() {
    let bench = Bench::new();
    let mut fragile = minted(1);
    fragile["event_type"] = json!("cloud.fragile");
    bench.failed(1, 3).await;
    let messages = vec![
        bench.message("1", fragile.to_string(), 4),
        bench.message("2", minted(2).to_string(), 1),
    ];
    let summary = bench.batch(messages).await;
    let parked = Outcome::Parked(ParkReason::RetriesExhausted);
    assert_eq!(
        outcomes(&summary),
        [("1".to_owned(), parked), ("2".to_owned(), Outcome::Done)]
    );
    assert_eq!(
        bench.letters()[0].error,
        "decoding panicked: the upcaster fell over"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_to_be_told_from_a_repeat_is_parked_unless_it_has_its_mark() {
    let bench = Bench::new();
    let day = Duration::from_secs(86_400);
    let handled = bench
        .one(bench.message("1", minted(1).to_string(), 1))
        .await;
    assert_eq!(handled, Outcome::Done);
    bench.clock.advance(day * 57);
    let late = bench
        .one(bench.message("2", minted(2).to_string(), 1))
        .await;
    assert_eq!(late, Outcome::Done);
    bench.clock.advance(day * 2);
    for (number, outcome) in [
        (1, Outcome::Duplicate),
        (3, Outcome::Parked(ParkReason::TooOld)),
    ] {
        let message = bench.message("m", minted(number).to_string(), 1);
        assert_eq!(bench.one(message).await, outcome, "event {number}");
    }
    assert_eq!(bench.effects(), 2);
    let error = bench.letters()[0].error.clone();
    assert!(error.contains("59 days old"), "{error}");
    // A version guard needs no mark.
    let guarded = bench.message("g", updated(1, "Ada").to_string(), 1);
    assert_eq!(bench.one(guarded).await, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn what_is_too_old_is_handled_once_by_the_first_replay_of_what_was_before_the_consumer() {
    let bench = Bench::new();
    let day = Duration::from_secs(86_400);
    let occurred = moment("2026-01-01T00:00:00.000Z");
    bench.clock.advance(day * 100);
    let began = occurred.plus(day * 50);
    let of = |number: u32, first: Option<FirstReplay>| Message {
        operation_id: Some("an operation".into()),
        first_replay: first,
        ..bench.message("m", minted(number).to_string(), 1)
    };
    let first = FirstReplay {
        began,
        since: bench.clock.now(),
    };
    let too_old = Outcome::Parked(ParkReason::TooOld);
    assert_eq!(bench.one(of(1, None)).await, too_old);
    assert_eq!(bench.one(of(1, Some(first))).await, Outcome::Done);
    assert_eq!(bench.one(of(1, Some(first))).await, Outcome::Duplicate);
    // Its mark is as good as any other.
    assert_eq!(bench.one(of(1, None)).await, Outcome::Duplicate);

    // What occurred when the consumer was there can have been handled: its mark is gone.
    let later = FirstReplay {
        began: occurred,
        ..first
    };
    assert_eq!(bench.one(of(2, Some(later))).await, too_old);

    // Sent back as a dead letter, it is still part of the first replay, until the marks of that expire.
    bench.script.decide([Act::Park]);
    let rejected = Outcome::Parked(ParkReason::Rejected);
    assert_eq!(bench.one(of(3, Some(first))).await, rejected);
    let letters = bench.letters();
    let letter = letters.last().expect("a dead letter");
    assert_eq!(letter.first_replay, Some(first));
    bench.clock.advance(day * 57);
    let again = bench.one(of(3, letter.first_replay)).await;
    assert_eq!(again, Outcome::Done);
    bench.clock.advance(day * 2);
    assert_eq!(bench.one(of(4, Some(first))).await, too_old);
    assert_eq!(bench.effects(), 2);
}
