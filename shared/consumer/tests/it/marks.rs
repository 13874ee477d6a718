//! Repeats: marks, version guards, and the work after the commit.

use std::time::Duration;

use consumer::{Outcome, ParkReason, Settings};
use outbox::{FaultKind, Mark, Table};
use serde_json::json;

use crate::bench::{Act, Bench, Trouble, domain, minted, outcomes, read, updated};

#[tokio::test(start_paused = true)]
async fn the_second_copy_in_a_batch_is_done_not_failed() {
    let bench = Bench::new();
    let messages = ["1", "2", "3"].map(|id| bench.message(id, minted(1).to_string(), 1));
    let summary = bench.batch(messages.to_vec()).await;
    let expected = [
        ("1".to_owned(), Outcome::Done),
        ("2".to_owned(), Outcome::Duplicate),
        ("3".to_owned(), Outcome::Duplicate),
    ];
    assert_eq!(outcomes(&summary), expected);
    assert!(summary.failed().is_empty());
    assert_eq!(bench.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_committed_in_one_call_and_without_grouping_one_by_one() {
    for (group_commit, calls) in [(true, 1), (false, 10)] {
        let bench = Bench::with(Settings {
            group_commit,
            ..Settings::default()
        });
        let batch = |first: u32| {
            (first..first + 10)
                .map(|id| bench.message(&id.to_string(), minted(id).to_string(), 1))
                .collect()
        };
        let summary = bench.batch(batch(1)).await;
        assert!(
            summary
                .finished
                .iter()
                .all(|one| one.outcome == Outcome::Done)
        );
        assert_eq!((bench.commits(), bench.effects()), (calls, 10));

        // Half of the messages come again. They are recognised as copies, and the new messages are committed without
        // them.
        let summary = bench.batch(batch(6)).await;
        let done = |outcome| move |one: &&consumer::Finished| one.outcome == outcome;
        assert_eq!(
            summary.finished.iter().filter(done(Outcome::Done)).count(),
            5
        );
        assert_eq!(
            summary
                .finished
                .iter()
                .filter(done(Outcome::Duplicate))
                .count(),
            5
        );
        assert_eq!(bench.commits(), calls + if group_commit { 2 } else { 10 });
        assert_eq!(bench.effects(), 15);
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_whose_commit_is_under_way_when_time_runs_out_is_not_parked_on_a_guess() {
    for messages in [1_u32, 3] {
        let bench = Bench::new();
        bench.trouble(Trouble::HangsInCommit);
        let last_try = |id: u32| bench.message(&id.to_string(), minted(id).to_string(), 4);
        let summary = bench.batch((1..=messages).map(last_try).collect()).await;
        for one in &summary.finished {
            assert!(matches!(one.outcome, Outcome::Unavailable(_)), "{one:?}");
        }
        assert!(bench.letters().is_empty());

        // The message comes back and is handled normally.
        bench.trouble(None);
        let summary = bench.batch((1..=messages).map(last_try).collect()).await;
        assert!(
            summary
                .finished
                .iter()
                .all(|one| one.outcome == Outcome::Done)
        );
        assert_eq!(bench.effects(), u64::from(messages));
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_that_fails_or_hangs_holds_up_no_neighbours_commit() {
    let bench = Bench::new();
    bench
        .script
        .decide([Act::Retry, Act::Hang, Act::Panic, Act::Park]);
    let messages = (1..11).map(|id| bench.message(&id.to_string(), minted(id).to_string(), 1));
    let summary = bench.batch(messages.collect()).await;
    let done = summary
        .finished
        .iter()
        .filter(|one| one.outcome == Outcome::Done);
    assert_eq!(done.count(), 6);
    assert_eq!(bench.effects(), 6);
    assert!(bench.commits() <= 6);
}

#[tokio::test(start_paused = true)]
async fn the_same_fact_under_another_event_id_is_a_duplicate() {
    let bench = Bench::new();
    let fact = |number| {
        let mut envelope = minted(number);
        envelope["idempotency_key"] = json!("stripe/ch_1");
        envelope.to_string()
    };
    let messages = vec![
        bench.message("1", fact(1), 1),
        bench.message("2", fact(2), 1),
    ];
    let summary = bench.batch(messages).await;
    let expected = [
        ("1".to_owned(), Outcome::Done),
        ("2".to_owned(), Outcome::Duplicate),
    ];
    assert_eq!(outcomes(&summary), expected);
    assert_eq!(
        bench.one(bench.message("3", fact(3), 1)).await,
        Outcome::Duplicate
    );
    assert_eq!(bench.effects(), 1);

    // A fact with the same name of another aggregate is a different fact.
    let mut other = minted(4);
    other["idempotency_key"] = json!("stripe/ch_1");
    other["aggregate_id"] = json!("ada");
    let outcome = bench.one(bench.message("4", other.to_string(), 1)).await;
    assert_eq!((outcome, bench.effects()), (Outcome::Done, 2));
}

#[tokio::test(start_paused = true)]
async fn a_copy_of_something_done_is_a_duplicate_whatever_the_rules_say_of_it_now() {
    let bench = Bench::new();
    assert_eq!(
        bench
            .one(bench.message("1", minted(1).to_string(), 1))
            .await,
        Outcome::Done
    );
    for refusal in [Act::Park, Act::Retry, Act::Unavailable] {
        bench.script.decide([refusal]);
        let copy = bench.message("2", minted(1).to_string(), 4);
        assert_eq!(bench.one(copy).await, Outcome::Duplicate);
    }
    // A copy is also a duplicate if this code can no longer read it.
    let mut newer = minted(1);
    newer["event_version"] = json!("v7");
    assert_eq!(
        bench.one(bench.message("3", newer.to_string(), 1)).await,
        Outcome::Duplicate
    );
    assert!(bench.letters().is_empty());
    assert_eq!(bench.effects(), 1);
}

#[tokio::test(start_paused = true)]
async fn while_the_store_cannot_be_reached_nothing_is_parked_on_a_guess() {
    let bench = Bench::new();
    for trouble in [
        Trouble::MarksUnreadable(FaultKind::Unavailable),
        Trouble::MarksSilent,
    ] {
        bench.trouble(trouble);
        let mut unknown = minted(1);
        unknown["event_version"] = json!("v7");
        bench.script.decide([Act::Park, Act::Retry, Act::Panic]);
        for body in [minted(1), minted(1), minted(1), unknown] {
            let outcome = bench.one(bench.message("m", body.to_string(), 9)).await;
            assert!(
                matches!(outcome, Outcome::Unavailable(_)),
                "{trouble:?}: {outcome:?}"
            );
        }
        assert!(bench.letters().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn while_marks_may_not_be_read_a_park_waits_until_the_message_is_too_old() {
    let bench = Bench::new();
    bench.trouble(Trouble::MarksUnreadable(FaultKind::Denied));
    bench.script.decide(vec![Act::Park; 5]);
    let message = bench.message("m", minted(1).to_string(), 1);
    for _ in 0..4 {
        let waits = bench.one(message.clone()).await;
        assert!(matches!(waits, Outcome::Unavailable(_)), "{waits:?}");
        bench.clock.advance(Duration::from_secs(600));
    }
    bench.clock.advance(Settings::default().unavailable_max_age);
    let last = bench.one(message).await;
    assert_eq!(last, Outcome::Parked(ParkReason::UnavailableTooLong));
    assert_eq!(bench.letters()[0].error, "the account was closed");
}

#[tokio::test(start_paused = true)]
async fn an_interruption_after_the_commit_is_not_parked_as_if_nothing_was_done() {
    for trouble in [Trouble::HangsAfterCommit, Trouble::PanicsAfterCommit] {
        let bench = Bench::new();
        bench.trouble(trouble);
        let last_try = bench.message("m", minted(1).to_string(), 4);
        let outcome = bench.one(last_try).await;
        assert!(
            matches!(outcome, Outcome::Retry(_)),
            "{trouble:?}: {outcome:?}"
        );
        assert_eq!((bench.effects(), bench.script.settled()), (1, 0));

        bench.trouble(None);
        let again = bench.message("m", minted(1).to_string(), 5);
        assert_eq!(bench.one(again).await, Outcome::Duplicate);
        assert_eq!((bench.effects(), bench.script.settled()), (1, 1));
        assert!(bench.letters().is_empty());
    }
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_commit_runs_after_it_and_again_until_it_succeeds() {
    let bench = Bench::new();
    bench.script.after_commit([Act::Retry, Act::Unavailable]);
    let message = |receives| bench.message("m", minted(1).to_string(), receives);
    let first = bench.one(message(1)).await;
    assert!(matches!(first, Outcome::Retry(_)), "{first:?}");
    let second = bench.one(message(2)).await;
    assert!(matches!(second, Outcome::Unavailable(_)), "{second:?}");
    assert_eq!(bench.one(message(3)).await, Outcome::Duplicate);
    assert_eq!((bench.effects(), bench.script.settled()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn what_follows_the_commit_and_never_succeeds_is_parked_like_any_failure() {
    let bench = Bench::new();
    bench.script.after_commit([Act::Retry, Act::Hang]);
    let message = |receives| bench.message("m", minted(1).to_string(), receives);
    let parked = Outcome::Parked(ParkReason::RetriesExhausted);
    for _ in 0..2 {
        bench.failed(1, 3).await;
        assert_eq!(bench.one(message(4)).await, parked);
    }
}

#[tokio::test(start_paused = true)]
async fn a_projection_ignores_what_is_older_and_what_it_has() {
    let bench = Bench::new();
    let versions = [
        (2, "Ada Lovelace", Outcome::Done),
        (1, "Ada", Outcome::Ignored),
        (2, "Ada Lovelace", Outcome::Ignored),
        (3, "Countess", Outcome::Done),
    ];
    for (version, name, outcome) in versions {
        let message = bench.message("m", updated(version, name).to_string(), 1);
        assert_eq!(bench.one(message).await, outcome, "version {version}");
    }
    let rows = bench.store.items(&domain());
    assert_eq!(
        (rows.len(), &rows[0]["name"], &rows[0]["version"]),
        (1, &json!("Countess"), &json!(3))
    );
    assert_eq!(bench.script.settled(), 4);
    assert!(bench.store.items(&Table::marks("marks")).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_handler_with_nothing_to_write_still_writes_its_mark() {
    let bench = Bench::new();
    bench
        .one(bench.message("m", minted(1).to_string(), 1))
        .await;
    let marks = bench.store.items(&Table::marks("marks"));
    let key = Mark::event("scripted", &read(&minted(1)))
        .key(&Table::marks("marks"))
        .expect("a key");
    assert_eq!(marks.len(), 1);
    assert_eq!(marks[0]["mark"], json!(key.pk));
}

#[tokio::test(start_paused = true)]
async fn what_a_handler_emits_belongs_to_the_chain_of_what_it_handled() {
    let bench = Bench::new();
    bench.script.decide([Act::Emit]);
    let mut envelope = minted(1);
    envelope["trace_id"] = json!("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    envelope["metadata"] = json!({"user_id": "u-1", "campaign": "spring"});
    bench.one(bench.message("m", envelope.to_string(), 1)).await;
    let log = bench.store.items(&Table::events("events"));
    let text = log[0]["envelope"].as_str().expect("an envelope");
    let emitted = events::Registry::read(text).expect("sound");
    let handled = read(&envelope);
    assert_eq!(emitted.event_type.as_str(), "cloud.burned");
    assert_eq!(emitted.correlation_id, handled.correlation_id);
    assert_eq!(emitted.causation_id, Some(handled.event_id));
    assert_eq!(emitted.parent_event_id, Some(handled.event_id));
    assert_eq!(emitted.trace_id, handled.trace_id);
    assert_eq!(emitted.metadata, handled.metadata);
    assert_ne!(emitted.event_id, handled.event_id);
}
