//! The retry schedule, and failures of the class *unavailable*.

use std::{collections::BTreeSet, time::Duration};

use consumer::{Outcome, ParkReason};
use outbox::Clock as _;

use crate::bench::{Act, Bench, Trouble, minted};

const SCHEDULE: [Duration; 3] = [
    Duration::from_secs(10),
    Duration::from_secs(60),
    Duration::from_secs(300),
];

const SIX_HOURS: Duration = Duration::from_secs(6 * 60 * 60);

#[tokio::test(start_paused = true)]
async fn failures_come_back_on_the_schedule_and_the_fourth_is_parked() {
    let bench = Bench::new();
    for (failures, delay) in (1_u32..).zip(SCHEDULE) {
        bench.script.decide([Act::Retry]);
        let message = bench.message("m", minted(1).to_string(), failures);
        assert_eq!(bench.one(message).await, Outcome::Retry(delay));
        let (receipt, span) = bench.hidden().pop().expect("hidden");
        assert_eq!(receipt, "receipt-m");
        assert!(
            span >= delay * 9 / 10 && span <= delay * 11 / 10,
            "{span:?}"
        );
        assert!(bench.letters().is_empty());
        bench.clock.advance(span);
    }
    bench.script.decide([Act::Retry]);
    let fourth = bench.message("m", minted(1).to_string(), 4);
    let parked = Outcome::Parked(ParkReason::RetriesExhausted);
    assert_eq!(bench.one(fourth).await, parked);
    assert_eq!(bench.hidden().len(), 3);
    assert_eq!(bench.letters().len(), 1);
    assert_eq!(bench.letters()[0].error, "the disk is full");
    assert_eq!(bench.effects(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_failed_together_does_not_come_back_together() {
    let bench = Bench::new();
    bench.script.decide(vec![Act::Retry; 10]);
    for number in 1..=10 {
        bench.failed(number, 1).await;
    }
    let message = |number: u32| bench.message(&number.to_string(), minted(number).to_string(), 2);
    bench.batch((1..=10).map(message).collect()).await;
    let spans: BTreeSet<Duration> = bench.hidden().into_iter().map(|(_, span)| span).collect();
    assert!(spans.len() >= 8, "{spans:?}");
    assert!(
        spans
            .iter()
            .all(|span| span.as_secs_f64() >= 54.0 && span.as_secs_f64() <= 66.0)
    );
}

#[tokio::test(start_paused = true)]
async fn an_unavailable_dependency_repeats_the_last_delay_and_is_parked_only_beyond_six_hours() {
    let bench = Bench::new();
    let [first, second, last] = SCHEDULE;
    for (receives, delay) in [(1, first), (2, second), (3, last), (4, last), (70, last)] {
        bench.script.decide([Act::Unavailable]);
        let message = bench.message("m", minted(1).to_string(), receives);
        assert_eq!(bench.one(message).await, Outcome::Unavailable(delay));
    }
    let old = bench.message("m", minted(1).to_string(), 75);
    bench.clock.advance(SIX_HOURS);
    bench.script.decide([Act::Unavailable]);
    assert_eq!(bench.one(old.clone()).await, Outcome::Unavailable(last));
    bench.clock.advance(Duration::from_millis(1));
    bench.script.decide([Act::Unavailable]);
    let parked = Outcome::Parked(ParkReason::UnavailableTooLong);
    assert_eq!(bench.one(old).await, parked);
    assert_eq!(bench.letters()[0].error, "ses SendEmail failed: throttled");
}

#[tokio::test(start_paused = true)]
async fn deliveries_in_which_nothing_failed_do_not_count() {
    let bench = Bench::new();
    let message = |receives| bench.message("m", minted(1).to_string(), receives);
    bench.script.decide([Act::Unavailable]);
    let waits = bench.one(message(20)).await;
    assert!(matches!(waits, Outcome::Unavailable(_)), "{waits:?}");
    // The lane delivered the message 29 times more, but no code ran: the function was throttled.
    bench.script.decide([Act::Retry]);
    assert_eq!(bench.one(message(50)).await, Outcome::Retry(SCHEDULE[0]));
    assert_eq!(bench.failures(1).await, 1);
}

#[tokio::test(start_paused = true)]
async fn contention_is_no_failure_of_the_event() {
    for (body, size) in [(minted(1), 1), (minted(1), 3)] {
        let bench = Bench::new();
        bench.trouble(Trouble::Contended);
        let batch = |receives| {
            let neighbours = (2..=size).map(|number| minted(number).to_string());
            let bodies = [body.to_string()].into_iter().chain(neighbours);
            let message =
                |(id, body): (usize, String)| bench.message(&id.to_string(), body, receives);
            bodies.enumerate().map(message).collect::<Vec<_>>()
        };
        for receives in 1..=6 {
            for one in bench.batch(batch(receives)).await.finished {
                assert!(matches!(one.outcome, Outcome::Unavailable(_)), "{one:?}");
            }
            bench.clock.advance(SCHEDULE[2] * 2);
        }
        assert!(bench.letters().is_empty());
        assert_eq!(bench.failures(1).await, 0);
        bench.trouble(None);
        let summary = bench.batch(batch(7)).await;
        assert!(summary.failed().is_empty(), "{summary:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_copy_that_comes_ahead_of_the_schedule_does_not_use_it_up() {
    let bench = Bench::new();
    bench.script.decide(vec![Act::Retry; 6]);
    let copy = |id| bench.message(id, minted(1).to_string(), 1);
    assert_eq!(bench.one(copy("1")).await, Outcome::Retry(SCHEDULE[0]));
    for id in ["2", "3", "4", "5", "6"] {
        let early = bench.one(copy(id)).await;
        assert!(
            matches!(early, Outcome::Retry(rest) if rest < SCHEDULE[0]),
            "{early:?}"
        );
    }
    assert_eq!(bench.failures(1).await, 1);
    assert!(bench.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_passes_is_done_on_the_next_try_once() {
    let bench = Bench::new();
    bench.script.decide([Act::Retry, Act::Retry]);
    for receives in 1..=2 {
        let message = bench.message("m", minted(1).to_string(), receives);
        assert!(matches!(bench.one(message).await, Outcome::Retry(_)));
        assert_eq!(bench.failures(1).await, receives);
        bench.clock.advance(SCHEDULE[2]);
    }
    let third = bench.message("m", minted(1).to_string(), 3);
    assert_eq!(bench.one(third).await, Outcome::Done);
    assert_eq!((bench.effects(), bench.script.settled()), (1, 1));
    assert_eq!(bench.failures(1).await, 0, "forgotten");
}

#[tokio::test(start_paused = true)]
async fn the_schedule_is_a_setting() {
    let settings = consumer::Settings {
        retry_delays: vec![Duration::from_secs(1)],
        unavailable_max_age: Duration::from_secs(2),
        ..consumer::Settings::default()
    };
    let bench = Bench::with(settings);
    bench.script.decide([Act::Retry, Act::Retry]);
    let message = |receives| bench.message("m", minted(1).to_string(), receives);
    let second = Duration::from_secs(1);
    assert_eq!(bench.one(message(1)).await, Outcome::Retry(second));
    bench.clock.advance(second * 2);
    assert!(matches!(bench.one(message(2)).await, Outcome::Parked(_)));
}

#[tokio::test(start_paused = true)]
async fn a_visibility_that_cannot_be_set_is_no_failure_of_its_own() {
    let bench = Bench::new();
    bench.script.decide([Act::Retry]);
    *bench.queues.broken.lock().unwrap() = true;
    let message = bench.message("m", minted(1).to_string(), 1);
    let summary = bench.batch(vec![message]).await;
    assert_eq!(summary.failed(), ["m"]);
    assert_eq!(summary.finished[0].outcome, Outcome::Retry(SCHEDULE[0]));
}

#[tokio::test(start_paused = true)]
async fn what_waited_for_its_consumer_is_not_parked_at_its_first_contention() {
    let bench = Bench::new();
    let old = bench.message("m", minted(1).to_string(), 1);
    bench.clock.advance(SIX_HOURS * 2);
    let first_received_at = bench.clock.now();
    let old = consumer::Message {
        first_received_at,
        ..old
    };
    bench.trouble(Trouble::Contended);
    let waits = bench.one(old.clone()).await;
    assert_eq!(waits, Outcome::Unavailable(SCHEDULE[0]));
    // What it failed of before is in the letter.
    bench.failed(1, 2).await;
    bench.clock.advance(SIX_HOURS);
    let parked = Outcome::Parked(ParkReason::UnavailableTooLong);
    assert_eq!(bench.one(old).await, parked);
    assert_eq!(bench.letters()[0].attempts, 3);
}

#[tokio::test(start_paused = true)]
async fn a_letter_that_cannot_be_sent_does_not_begin_the_schedule_anew() {
    let bench = Bench::new();
    bench.failed(1, 3).await;
    bench.script.decide([Act::Retry, Act::Retry]);
    *bench.queues.broken.lock().unwrap() = true;
    let fourth = bench.message("m", minted(1).to_string(), 4);
    assert_eq!(bench.one(fourth.clone()).await, Outcome::NotParked);
    *bench.queues.broken.lock().unwrap() = false;
    bench.clock.advance(SCHEDULE[0]);
    let parked = Outcome::Parked(ParkReason::RetriesExhausted);
    assert_eq!(bench.one(fourth).await, parked);
}
