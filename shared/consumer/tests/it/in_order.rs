//! In-order consumers: events whose evidence is a cursor.

use std::{sync::Arc, time::Duration};

use consumer::{Outcome, ParkReason};
use futures::future::join;
use outbox::{Clock, Table, memory::MemoryStore};
use testkit::conformance::{self, TestTables};

use crate::bench::{Act, Bench, Trouble, lane, outcomes};

#[tokio::test]
async fn the_runtime_on_the_store_in_memory_conforms() {
    let tables = TestTables {
        domain: Table::domain("domain"),
        events: Table::events("events"),
        marks: Table::marks("marks"),
        indexed: None,
    };
    let store = Arc::new(MemoryStore::new());
    assert_eq!(conformance::in_order(store, tables).await, Ok(()));
}

const WALLET: &str = "wallet_account#user-ada";

async fn position(bench: &Bench) -> (u64, Option<u64>) {
    let outbox = bench.outbox();
    let progress = outbox.progress("scripted", WALLET).await.expect("read");
    (
        progress.position(),
        progress.blocked().map(|blocked| blocked.sequence),
    )
}

#[tokio::test(start_paused = true)]
async fn a_wake_up_handles_all_that_is_behind_the_cursor_in_order_and_passes_over_the_rest() {
    let bench = Bench::new();
    bench.log(1, "dbdbbd").await;
    assert_eq!(bench.one(bench.wake(6, 1)).await, Outcome::Done);
    let order: Vec<String> = bench
        .script
        .decided()
        .into_iter()
        .map(|(id, _)| id[id.len() - 1..].to_owned())
        .collect();
    assert_eq!(order, ["1", "3", "6"]);
    assert_eq!(position(&bench).await, (6, None));
    // The messages of events that were handled on the way.
    for earlier in [1, 3, 6] {
        assert_eq!(bench.one(bench.wake(earlier, 1)).await, Outcome::Duplicate);
    }
    assert_eq!(bench.done(), [(1, 1), (3, 1), (6, 1)]);
    assert_eq!(bench.script.settled(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_batch_handles_an_aggregates_events_once_whatever_their_messages_order() {
    let bench = Bench::new();
    bench.log(1, "ddd").await;
    let messages = vec![bench.wake(3, 1), bench.wake(1, 1), bench.wake(2, 1)];
    let summary = bench.batch(messages).await;
    assert!(summary.failed().is_empty());
    assert_eq!(bench.done(), [(1, 1), (2, 1), (3, 1)]);
    assert_eq!(bench.commits(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_blocks_what_comes_after_it_and_its_redrive_goes_on_from_there() {
    let bench = Bench::new();
    bench.log(1, "dddd").await;
    bench.script.decide([Act::Succeed, Act::Park]);
    let rejected = Outcome::Parked(ParkReason::Rejected);
    // The run starts with the first event and stops at the second, which becomes the dead letter.
    assert_eq!(bench.one(bench.wake(1, 1)).await, rejected);
    let letter = bench.letters().pop().expect("a letter");
    assert!(letter.body.contains("\"sequence\":2"), "{}", letter.body);
    assert_eq!(letter.event_type.as_deref(), Some("wallet.deposited"));
    assert_eq!(position(&bench).await, (1, Some(2)));
    // Later events wait without an attempt; earlier events are duplicates.
    assert_eq!(bench.one(bench.wake(3, 1)).await, Outcome::Waiting);
    assert_eq!(bench.one(bench.wake(4, 1)).await, Outcome::Waiting);
    assert_eq!(bench.one(bench.wake(1, 2)).await, Outcome::Duplicate);
    assert_eq!(bench.done(), [(1, 1)]);
    // The dead letter is sent back while its event still cannot be handled: it is parked again.
    bench.script.decide([Act::Park]);
    let redriven = bench.message("redriven", letter.body, 1);
    assert_eq!(bench.one(redriven.clone()).await, rejected);
    assert_eq!(position(&bench).await, (1, Some(2)));
    // The dead letter is sent back when its event can be handled: the run also handles all events that waited.
    assert_eq!(bench.one(redriven).await, Outcome::Done);
    assert_eq!(position(&bench).await, (4, None));
    assert_eq!(bench.done(), [(1, 1), (2, 1), (3, 1), (4, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_redriven_event_answers_for_what_waited_even_when_the_next_one_fails() {
    let bench = Bench::new();
    bench.log(1, "ddd").await;
    bench.script.decide([Act::Park]);
    bench.one(bench.wake(1, 1)).await;
    assert_eq!(bench.one(bench.wake(2, 1)).await, Outcome::Waiting);
    assert_eq!(bench.one(bench.wake(3, 1)).await, Outcome::Waiting);
    bench.script.decide([Act::Succeed, Act::Retry]);
    let again = Outcome::Retry(Duration::from_secs(10));
    assert_eq!(bench.one(bench.wake(1, 1)).await, again);
    // The message's own event is handled by now, but the message comes back for the later events.
    assert_eq!(bench.one(bench.wake(1, 2)).await, Outcome::Done);
    assert_eq!(bench.done(), [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_last_failure_of_any_message_parks_the_event_that_fails() {
    let bench = Bench::new();
    bench.log(1, "dd").await;
    bench.failed(1, 2).await;
    bench.script.decide([Act::Retry]);
    let again = Outcome::Retry(Duration::from_secs(300));
    assert_eq!(bench.one(bench.wake(2, 3)).await, again);
    assert_eq!(position(&bench).await, (0, None));
    bench.clock.advance(Duration::from_secs(330));
    bench.script.decide([Act::Retry]);
    let exhausted = Outcome::Parked(ParkReason::RetriesExhausted);
    assert_eq!(bench.one(bench.wake(2, 4)).await, exhausted);
    assert!(bench.letters()[0].body.contains("\"sequence\":1"));
    assert_eq!(position(&bench).await, (0, Some(1)));
    // The parked event's own message is still in the lane and tries again.
    assert_eq!(bench.one(bench.wake(1, 2)).await, Outcome::Done);
    assert_eq!(bench.done(), [(1, 1), (2, 1)]);
}

#[tokio::test(start_paused = true)]
async fn the_messages_behind_it_do_not_use_up_the_schedule_of_the_event_that_fails() {
    let bench = Bench::new();
    bench.log(1, "ddddd").await;
    bench.script.decide(vec![Act::Retry; 5]);
    let ten = Duration::from_secs(10);
    assert_eq!(bench.one(bench.wake(1, 1)).await, Outcome::Retry(ten));
    for behind in 2..=5 {
        let outcome = bench.one(bench.wake(behind, 1)).await;
        assert!(
            matches!(outcome, Outcome::Retry(rest) if rest < ten),
            "{outcome:?}"
        );
    }
    assert_eq!((bench.failures(1).await, bench.letters().len()), (1, 0));
    bench.clock.advance(ten * 2);
    assert_eq!(bench.one(bench.wake(1, 2)).await, Outcome::Done);
    assert_eq!(bench.failures(1).await, 0, "forgotten");
    assert_eq!(position(&bench).await, (5, None));
}

#[tokio::test(start_paused = true)]
async fn contention_blocks_no_aggregate() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    bench.trouble(Trouble::Contended);
    for receives in 1..=6 {
        let outcome = bench.one(bench.wake(1, receives)).await;
        assert!(matches!(outcome, Outcome::Unavailable(_)), "{outcome:?}");
        bench.clock.advance(Duration::from_secs(600));
    }
    assert_eq!(position(&bench).await, (0, None));
    bench.trouble(None);
    assert_eq!(bench.one(bench.wake(1, 7)).await, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_sent_back_after_its_retention_is_said_not_acknowledged() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    bench.log(5, "d").await;
    let too_old = Outcome::Parked(ParkReason::TooOld);
    assert_eq!(bench.one(bench.wake(3, 1)).await, too_old);
    let letter = bench.letters().pop().expect("a letter");
    assert!(letter.body.contains("\"sequence\":3"), "{}", letter.body);
    assert!(letter.error.contains("event 3 of"), "{}", letter.error);
    // What the log has was handled.
    assert_eq!(position(&bench).await, (5, None));
    assert_eq!(bench.done(), [(1, 1), (5, 1)]);
    // Sent back once more, it is still not a duplicate.
    bench.clock.advance(Duration::from_secs(2 * 86_400));
    assert_eq!(bench.one(bench.wake(3, 1)).await, too_old);
    assert_eq!(bench.one(bench.wake(5, 1)).await, Outcome::Duplicate);
}

#[tokio::test(start_paused = true)]
async fn a_parked_event_that_is_sent_back_after_its_retention_is_said_whatever_else_the_run_does() {
    let too_old = Outcome::Parked(ParkReason::TooOld);
    // One event behind it, more than a page of them, and one that fails.
    for (behind, acts) in [
        (1, vec![]),
        (40, vec![]),
        (2, vec![Act::Succeed, Act::Retry]),
    ] {
        let bench = Bench::new();
        bench.log(1, "dd").await;
        bench.script.decide([Act::Succeed, Act::Park]);
        bench.one(bench.wake(1, 1)).await;
        assert_eq!(position(&bench).await, (1, Some(2)));
        // Its retention is over: the log has only what came after.
        let key = Table::events("events").numbered_key("wallet_account#user-ada", 2);
        bench.store.remove(&key);
        bench.log(3, &"d".repeat(behind)).await;
        bench.clock.advance(Duration::from_secs(2 * 86_400));
        bench.script.decide(acts);
        let sent_back = bench.wake(2, 1);
        let mut outcome = bench.one(sent_back.clone()).await;
        while let Outcome::Retry(delay) = outcome {
            bench.clock.advance(delay * 2);
            outcome = bench.one(sent_back.clone()).await;
        }
        assert_eq!(outcome, too_old, "{behind}");
        let last = u64::try_from(behind).expect("small") + 2;
        assert_eq!(position(&bench).await, (last, None));
        assert!(
            bench
                .letters()
                .last()
                .expect("a letter")
                .error
                .contains("event 2 of")
        );
    }
}

#[tokio::test(start_paused = true)]
async fn where_the_letter_cannot_be_sent_nothing_is_blocked_and_the_message_comes_back() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    *bench.queues.broken.lock().unwrap() = true;
    bench.script.decide([Act::Park]);
    assert_eq!(bench.one(bench.wake(1, 1)).await, Outcome::NotParked);
    assert_eq!(position(&bench).await, (0, None));
}

#[tokio::test(start_paused = true)]
async fn too_much_for_one_invocation_goes_on_in_the_next_without_counting_as_a_failure() {
    let bench = Bench::new();
    bench.log(1, "ddd").await;
    let passes = Act::Pass(Duration::from_secs(3));
    bench.script.decide([passes.clone(), passes]);
    let deadline = bench.clock.now().plus(Duration::from_secs(11));
    let first = bench
        .runner
        .run(&lane(), vec![bench.wake(3, 4)], deadline)
        .await;
    assert_eq!(outcomes(&first), [("m3".to_owned(), Outcome::Continues)]);
    assert_eq!(first.failed(), ["m3"]);
    assert_eq!(position(&bench).await, (2, None));
    assert_eq!(
        bench.hidden().pop(),
        Some(("receipt-m3".into(), Duration::from_secs(1)))
    );
    // The next delivery is the fourth attempt, not the fifth.
    bench.script.decide([Act::Unavailable]);
    assert!(matches!(
        bench.one(bench.wake(3, 5)).await,
        Outcome::Unavailable(_)
    ));
    assert_eq!(bench.script.decided().last().expect("decided").1, 4);
    assert_eq!(bench.one(bench.wake(3, 6)).await, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_the_log_does_not_have_is_tried_again_and_then_parked_without_a_block() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    let again = Outcome::Retry(Duration::from_secs(10));
    assert_eq!(bench.one(bench.wake(9, 1)).await, again);
    bench.failed(9, 3).await;
    let exhausted = Outcome::Parked(ParkReason::RetriesExhausted);
    assert_eq!(bench.one(bench.wake(9, 4)).await, exhausted);
    assert_eq!(
        bench.letters()[0].error,
        "the event log has no event 9 of wallet_account#user-ada"
    );
    // The events that the log has were handled on the way.
    assert_eq!(position(&bench).await, (1, None));
}

#[tokio::test(start_paused = true)]
async fn a_commit_whose_answer_is_lost_is_found_by_the_cursor() {
    for trouble in [Trouble::HangsAfterCommit, Trouble::PanicsAfterCommit] {
        let bench = Bench::new();
        bench.log(1, "d").await;
        bench.trouble(trouble);
        assert_eq!(bench.one(bench.wake(1, 1)).await, Outcome::Duplicate);
        assert_eq!(bench.done(), [(1, 1)]);
        assert_eq!(position(&bench).await, (1, None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_of_which_nobody_knows_is_never_parked_on_a_guess() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    bench.trouble(Trouble::HangsInCommit);
    assert!(matches!(
        bench.one(bench.wake(1, 4)).await,
        Outcome::Unavailable(_)
    ));
    assert!(bench.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn two_wake_ups_at_the_same_time_handle_each_event_once() {
    let bench = Bench::new();
    bench.log(1, "dddddd").await;
    bench
        .script
        .decide(vec![Act::Work(Duration::from_millis(7)); 5]);
    let (one, two) = join(bench.one(bench.wake(5, 1)), bench.one(bench.wake(6, 1))).await;
    assert!(one.acknowledged() && two.acknowledged(), "{one:?} {two:?}");
    let once: Vec<(u64, u64)> = (1..=6).map(|sequence| (sequence, 1)).collect();
    assert_eq!(bench.done(), once);
    assert_eq!(position(&bench).await, (6, None));
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_here_listens_to_are_passed_over_for_good_page_by_page() {
    let bench = Bench::new();
    bench.log(1, &"b".repeat(60)).await;
    bench.log(61, "d").await;
    assert_eq!(bench.one(bench.wake(61, 1)).await, Outcome::Done);
    assert_eq!(position(&bench).await, (61, None));
    // Two pages without any event to handle also moved the cursor.
    assert_eq!(bench.commits(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_a_failure_of_the_event() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    bench.script.decide([Act::Panic]);
    let again = Outcome::Retry(Duration::from_secs(10));
    assert_eq!(bench.one(bench.wake(1, 1)).await, again);
    assert_eq!(bench.one(bench.wake(1, 2)).await, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_cannot_be_read_parks_nothing_as_long_as_the_store_is_away() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    bench.trouble(Trouble::MarksSilent);
    assert!(matches!(
        bench.one(bench.wake(1, 4)).await,
        Outcome::Unavailable(_)
    ));
    bench.trouble(None);
    assert_eq!(bench.one(bench.wake(1, 5)).await, Outcome::Done);
}

#[tokio::test(start_paused = true)]
async fn a_page_that_meets_a_transaction_half_way_makes_nobody_pass_over_an_event() {
    let bench = Bench::new();
    bench.log(1, "ddd").await;
    bench.trouble(Trouble::TornPage);
    assert_eq!(bench.one(bench.wake(3, 1)).await, Outcome::Done);
    assert_eq!(bench.done(), [(1, 1), (2, 1), (3, 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_retention_took_is_passed_over() {
    let bench = Bench::new();
    bench.log(1, "d").await;
    assert_eq!(bench.one(bench.wake(1, 1)).await, Outcome::Done);
    bench.log(5, "dd").await;
    assert_eq!(bench.one(bench.wake(6, 1)).await, Outcome::Done);
    assert_eq!(bench.done(), [(1, 1), (5, 1), (6, 1)]);
}

/// The redriven event is parked again, although its commit, whose answer was lost, takes effect. The events whose
/// messages were acknowledged because of the block are still handled.
#[tokio::test(start_paused = true)]
async fn a_parked_event_whose_own_late_commit_went_on_comes_back_for_what_waited() {
    let bench = Bench::new();
    bench.log(1, "dd").await;
    bench.script.decide([Act::Park]);
    bench.one(bench.wake(1, 1)).await;
    assert_eq!(bench.one(bench.wake(2, 1)).await, Outcome::Waiting);
    let mut redriven = bench.wake(1, 1);
    let seven_hours = Duration::from_secs(7 * 60 * 60);
    bench.clock.advance(seven_hours);
    bench.trouble(Trouble::LandsWithTheLetter);
    assert_eq!(bench.one(redriven.clone()).await, Outcome::Continues);
    assert_eq!(bench.letters().len(), 2);
    assert_eq!(position(&bench).await, (1, None));
    redriven.receive_count = 2;
    assert_eq!(bench.one(redriven).await, Outcome::Done);
    assert_eq!(bench.done(), [(1, 1), (2, 1)]);
}

/// The function must respond in time however slow its dependencies are, because otherwise all of its messages come
/// back.
#[tokio::test(start_paused = true)]
async fn another_round_is_only_begun_while_there_is_time_for_it() {
    let bench = Bench::new();
    bench.log(1, &"b".repeat(60)).await;
    bench.log(61, "d").await;
    let passes = Duration::from_secs(11);
    let deadline = bench.clock.now().plus(passes);
    bench.trouble(Trouble::SlowPages(Duration::from_secs(4)));
    let first = bench
        .runner
        .run(&lane(), vec![bench.wake(61, 1)], deadline)
        .await;
    assert_eq!(outcomes(&first), [("m61".to_owned(), Outcome::Continues)]);
    assert!(bench.clock.now() < deadline);
    bench.trouble(None);
    assert_eq!(bench.one(bench.wake(61, 2)).await, Outcome::Done);
}
