//! The time limits of a record and of an invocation.

use std::time::Duration;

use consumer::{Message, Outcome, ParkReason, Settings};
use outbox::Clock;
use tokio::time::Instant;

use crate::bench::{Act, Bench, Trouble, lane, minted, moment, outcomes};

const LIMIT: Duration = Duration::from_secs(5);
const MARGIN: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_record_that_takes_too_long_is_a_retry_and_holds_up_nobody() {
    let bench = Bench::new();
    bench.script.decide([Act::Hang]);
    let begun = Instant::now();
    let messages =
        (1..=10).map(|number| bench.message(&number.to_string(), minted(number).to_string(), 1));
    let summary = bench.batch(messages.collect()).await;
    assert_eq!(begun.elapsed(), LIMIT);
    assert_eq!(summary.failed().len(), 1);
    assert_eq!(bench.effects(), 9);

    bench.failed(11, 3).await;
    bench.script.decide([Act::Hang]);
    let last = bench.message("m", minted(11).to_string(), 4);
    assert_eq!(
        bench.one(last).await,
        Outcome::Parked(ParkReason::RetriesExhausted)
    );
    assert_eq!(
        bench.letters()[0].error,
        "handling took longer than 5000 ms"
    );
}

#[tokio::test(start_paused = true)]
async fn a_silent_store_does_not_stretch_a_records_time_beyond_the_margin() {
    let bench = Bench::new();
    bench.trouble(Trouble::MarksSilent);
    bench.script.decide([Act::Hang]);
    let begun = Instant::now();
    bench
        .one(bench.message("m", minted(1).to_string(), 1))
        .await;
    assert!(begun.elapsed() < LIMIT + MARGIN, "{:?}", begun.elapsed());
}

/// Without an answer in time, all messages of the batch would come back.
#[tokio::test(start_paused = true)]
async fn a_silent_queue_does_not_keep_the_batch_from_its_answer() {
    let bench = Bench::new();
    bench.script.decide([Act::Park, Act::Retry]);
    *bench.queues.silent.lock().unwrap() = true;
    let (begun, time) = (Instant::now(), LIMIT + MARGIN);
    let messages =
        (1..=3).map(|number| bench.message(&number.to_string(), minted(number).to_string(), 1));
    let deadline = bench.clock.now().plus(time);
    let summary = bench
        .runner
        .run(&lane(), messages.collect(), deadline)
        .await;
    assert!(begun.elapsed() < time, "{:?}", begun.elapsed());
    let expected = [
        ("1".to_owned(), Outcome::NotParked),
        ("2".to_owned(), Outcome::NotParked),
        ("3".to_owned(), Outcome::Done),
    ];
    assert_eq!(outcomes(&summary), expected);
    // Not even what was not begun.
    let late = vec![bench.message("m", minted(4).to_string(), 1)];
    let deadline = bench.clock.now().plus(Duration::from_secs(1));
    let summary = bench.runner.run(&lane(), late, deadline).await;
    assert_eq!(outcomes(&summary), [("m".to_owned(), Outcome::Unbegun)]);
}

#[tokio::test(start_paused = true)]
async fn records_are_handled_at_once_up_to_the_limit() {
    for (concurrency, seconds) in [(10, 1), (5, 2), (1, 10), (0, 10)] {
        let bench = Bench::with(Settings {
            concurrency,
            ..Settings::default()
        });
        bench
            .script
            .decide(vec![Act::Work(Duration::from_secs(1)); 10]);
        let begun = Instant::now();
        let messages = (1..=10)
            .map(|number| bench.message(&number.to_string(), minted(number).to_string(), 1));
        let summary = bench.batch(messages.collect()).await;
        assert!(summary.failed().is_empty());
        assert_eq!(
            begun.elapsed(),
            Duration::from_secs(seconds),
            "{concurrency} at once"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_record_is_begun_only_if_its_limit_and_the_margin_are_left() {
    let bench = Bench::new();
    let message = bench.message("m", minted(1).to_string(), 1);
    let enough = LIMIT + MARGIN;
    let deadline = bench.clock.now().plus(enough - Duration::from_millis(1));
    let summary = bench
        .runner
        .run(&lane(), vec![message.clone()], deadline)
        .await;
    assert_eq!(outcomes(&summary), [("m".to_owned(), Outcome::Unbegun)]);
    assert_eq!(summary.failed(), ["m"]);
    assert_eq!(
        bench.hidden(),
        [("receipt-m".to_owned(), Duration::from_secs(1))]
    );
    assert!(bench.script.decided().is_empty());

    let deadline = bench.clock.now().plus(enough);
    let summary = bench.runner.run(&lane(), vec![message], deadline).await;
    assert_eq!(outcomes(&summary), [("m".to_owned(), Outcome::Done)]);
}

#[tokio::test(start_paused = true)]
async fn what_was_not_begun_does_not_count_towards_parking() {
    let bench = Bench::new();
    let body = minted(1).to_string();
    for receives in 1..=6 {
        let message = bench.message("m", body.as_str(), receives);
        bench
            .runner
            .run(&lane(), vec![message], bench.clock.now())
            .await;
    }
    bench.script.decide([Act::Retry]);
    let outcome = bench.one(bench.message("m", body.as_str(), 7)).await;
    assert_eq!(outcome, Outcome::Retry(Duration::from_secs(10)));
    assert_eq!(
        bench.script.decided()[0].1,
        1,
        "the handler sees its first try"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_on_the_way_is_told_once_for_the_first_try() {
    let bench = Bench::new();
    bench.script.decide([Act::Retry]);
    bench.clock.advance(Duration::from_millis(350));
    let committed = moment("2026-01-01T00:00:00.000Z");
    let first = bench
        .batch(vec![bench.message("m", minted(1).to_string(), 1)])
        .await;
    let delivery = first.finished[0].delivery.clone().expect("told");
    assert_eq!(delivery.latency, bench.clock.now().since(committed));
    assert_eq!(
        (delivery.domain.as_str(), delivery.priority),
        ("cloud", events::Priority::High)
    );
    let second = bench
        .batch(vec![bench.message("m", minted(1).to_string(), 2)])
        .await;
    assert_eq!(second.finished[0].delivery, None);
    let malformed = bench.batch(vec![bench.message("m", "nonsense", 1)]).await;
    assert_eq!(malformed.finished[0].delivery, None);
    // A dead letter that is sent back after days would look like a path that is days late.
    let sent_back = Message {
        operation_id: Some("an operation".into()),
        ..bench.message("n", minted(2).to_string(), 1)
    };
    let sent_back = bench.batch(vec![sent_back]).await;
    assert_eq!(sent_back.finished[0].outcome, Outcome::Done);
    assert_eq!(sent_back.finished[0].delivery, None);
}
