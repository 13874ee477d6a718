//! Replays: what is sent, to whom, how fast, and what a crash, a pause and a cancellation change.

use super::*;
use events::{
    ConsumerName, Evidence, Selection,
    contracts::operation::{FirstReplay, ReplaySelection},
};
use letters::replay::{BeginReplay, KNOWN_WHEN_SENT, Replays, WantedReplay};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const ANY: Selection = Selection::Every(Evidence::Mark);

fn about(aggregate: &str) -> WantedReplay {
    let text = Text::new(aggregate).expect("short");
    WantedReplay {
        aggregate: Some((Text::new("cloud_account").expect("short"), text)),
        ..every_event()
    }
}

impl World {
    /// Logs the first events of an aggregate, committed and published an age ago.
    async fn logged(
        &self,
        aggregate: &str,
        sequences: impl IntoIterator<Item = u64>,
        age: Duration,
    ) {
        self.log(aggregate, sequences, age, true).await;
    }

    async fn replay(&self, wanted: &WantedReplay, rate: u32, began: Timestamp) -> OperationId {
        let begun = self
            .execute(async |operations, transaction| {
                let replays = Replays {
                    outbox: operations.outbox,
                    table: operations.table,
                };
                let now = transaction.now();
                let ready = replays.ready(wanted, ANY, Some(began), now).await?;
                let begin = BeginReplay {
                    rate_per_second: rate,
                    by: because("it was empty"),
                    key_owner: owner(),
                    count: 0,
                };
                replays.begin(transaction, ready, begin).await
            })
            .await;
        begun.expect("begun").operation_id()
    }

    /// A replay to a consumer that was there from the start.
    async fn replays(&self, wanted: &WantedReplay, rate: u32) -> OperationId {
        self.replay(wanted, rate, Timestamp::EPOCH).await
    }

    /// How many events were sent, passed over, and too old.
    async fn replayed(&self, id: OperationId) -> [u32; 3] {
        let counts = self.operation(id).await.1.counts;
        [counts.sent, counts.passed_over, counts.too_old]
    }

    fn firsts(&self) -> Vec<Option<FirstReplay>> {
        let marked = self.lanes.marked.lock().expect("unpoisoned");
        marked.iter().map(|by| by.first_replay).collect()
    }
}

#[tokio::test]
async fn an_aggregate_is_sent_in_its_order_and_marked_with_the_operation() {
    let world = world(Fate::Handles);
    world.logged("a", 1..=25, DAY).await;
    world.logged("b", 1..=5, DAY).await;
    let id = world.replays(&about("a"), 10).await;
    world.run().await;
    assert_eq!(world.sent(), ids("a", 1..=25));
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.replayed(id).await, [25, 0, 0]);
    let marked = world.lanes.marked.lock().expect("unpoisoned").clone();
    assert!(
        marked
            .iter()
            .all(|by| by.operation_id == id && by.first_replay.is_none())
    );
    // The next run has nothing to do.
    world.run().await;
    assert_eq!(world.sent().len(), 25);
}

#[tokio::test]
async fn a_walk_over_the_log_has_no_order_and_sends_each_event_that_fits_once_at_its_rate() {
    let world = world(Fate::Handles);
    for aggregate in ["a", "b", "c"] {
        world.logged(aggregate, 1..=30, DAY).await;
        world.logged(aggregate, 31..=60, DAY * 3).await;
    }
    let some = WantedReplay {
        to: Some(world.site.clock().now()),
        from: Timestamp::from_unix_millis(world.site.clock().now().unix_millis() - 2 * 86_400_000)
            .ok(),
        ..every_event()
    };
    let id = world.replays(&some, 5).await;
    // What is committed later does not fit.
    world.logged("d", 1..=3, Duration::ZERO).await;
    world.run().await;
    let all: Vec<String> = ["a", "b", "c"]
        .iter()
        .flat_map(|one| ids(one, 1..=30))
        .collect();
    assert_eq!(sorted(world.sent()), sorted(all));
    let replayed = world.replayed(id).await;
    assert_eq!(
        (replayed, world.status(id).await),
        ([90, 0, 0], OperationStatus::Finished)
    );
    let sent = world.lanes.sent.lock().expect("unpoisoned").clone();
    let took = sent[89].0.since(sent[0].0);
    assert!(
        took >= Duration::from_secs(17),
        "five each second: {took:?}"
    );
}

#[tokio::test]
async fn reading_has_a_rate_of_its_own() {
    let world = world(Fate::Fails);
    // Nothing of it fits.
    world.logged("a", 1..=1_000, DAY).await;
    let none = WantedReplay {
        to: Timestamp::from_unix_millis(world.site.clock().now().unix_millis() - 2 * 86_400_000)
            .ok(),
        ..every_event()
    };
    let begun = world.site.clock().now();
    let id = world.replays(&none, 100).await;
    world.run().await;
    let took = world.site.clock().now().since(begun);
    // The run is followed by a minute.
    assert!(took >= Duration::from_secs(60 + 4), "{took:?}");
    assert_eq!(world.replayed(id).await, [0, 0, 0]);
    let rows = world.operation(id).await.1.replay.map(|one| one.rows);
    // The operation's own event is a row, too.
    assert_eq!(rows, Some(1_001));
}

#[tokio::test]
async fn a_page_that_dies_after_it_has_sent_some_sends_these_again_and_nothing_else() {
    for sent_before in 0..3 {
        let world = world(Fate::Waits);
        world.logged("a", 1..=3, DAY).await;
        let id = world.replays(&about("a"), 10).await;
        world.script(vec![Fate::Waits; sent_before]);
        world.script([Fate::Fails]);
        world.try_run().await.expect_err("dies");
        assert_eq!(
            world.replayed(id).await,
            [0, 0, 0],
            "nothing of it is written"
        );
        world.run().await;
        let again = u64::try_from(sent_before).expect("small");
        let expected = [ids("a", 1..=again), ids("a", 1..=3)].concat();
        assert_eq!(world.sent(), expected);
        assert_eq!(world.replayed(id).await, [3, 0, 0]);
    }
}

#[tokio::test]
async fn a_paused_replay_sends_nothing_and_goes_on_where_it_was() {
    let world = world(Fate::Waits);
    world.logged("a", 1..=30, DAY).await;
    let id = world.replays(&about("a"), 10).await;
    world.script(vec![Fate::Waits; 15]);
    world.script([Fate::Fails]);
    world.try_run().await.expect_err("in the second page");
    world.change(id, OperationChange::Paused).await;
    let before = world.sent().len();
    world.run().await;
    assert_eq!(world.sent().len(), before);
    assert_eq!(world.status(id).await, OperationStatus::Paused);
    world.change(id, OperationChange::Resumed).await;
    world.run().await;
    let expected = [ids("a", 1..=15), ids("a", 11..=30)].concat();
    assert_eq!(world.sent(), expected);
    assert_eq!(world.status(id).await, OperationStatus::Finished);
}

#[tokio::test]
async fn what_was_before_a_consumer_goes_on_after_a_cancellation_and_is_marked_as_such() {
    let world = world(Fate::Waits);
    for aggregate in ["a", "b"] {
        world.logged(aggregate, 1..=20, DAY * 100).await;
    }
    world.logged("c", 1..=5, DAY).await;
    let now = world.site.clock().now();
    let began = Timestamp::from_unix_millis(now.unix_millis() - 50 * 86_400_000).expect("a time");
    let all = WantedReplay {
        before_it_began: true,
        ..every_event()
    };
    let first = world.replay(&all, 10, began).await;
    world.script(vec![Fate::Waits; 10]);
    world.script([Fate::Fails]);
    world.try_run().await.expect_err("in a later page");
    world.change(first, OperationChange::Cancelled).await;
    world.run().await;
    assert_eq!(world.status(first).await, OperationStatus::Finished);
    let [sent_first, ..] = world.replayed(first).await;
    assert!((1..=10).contains(&sent_first), "{sent_first}");

    let second = world.replay(&all, 10, began).await;
    world.run().await;
    assert_eq!(world.replayed(second).await, [40 - sent_first, 0, 0]);
    // What the page that died had sent is sent twice.
    let sent: BTreeSet<String> = world.sent().into_iter().collect();
    let all = ["a", "b"].iter().flat_map(|one| ids(one, 1..=20));
    assert_eq!(sent, all.collect());
    let twice = 10 - usize::try_from(sent_first).expect("small");
    assert_eq!(world.sent().len(), 40 + twice);
    let firsts = world.firsts();
    assert!(
        firsts
            .iter()
            .all(|one| one.is_some_and(|one| one.began == began))
    );
    // Both say since when there are marks of it.
    assert!(firsts.windows(2).all(|two| two[0] == two[1]));
}

#[tokio::test]
async fn what_is_too_old_is_not_sent_to_a_consumer_by_mark_and_counted() {
    let world = world(Fate::Handles);
    world.logged("a", 1..=4, KNOWN_WHEN_SENT + DAY).await;
    world.logged("a", 5..=6, DAY).await;
    let id = world.replays(&about("a"), 10).await;
    world.run().await;
    assert_eq!(world.sent(), ids("a", 5..=6));
    assert_eq!(world.replayed(id).await, [2, 0, 4]);
}

#[tokio::test]
async fn a_replay_of_hours_lets_letters_and_other_operations_have_their_turn() {
    let world = world(Fate::Handles);
    world.logged("a", 1..=120, DAY).await;
    let long = world.replays(&every_event(), 1).await;
    world.letters("b", 1).await;
    let redrive = world.begin(OperationAct::Redrive, 10, false).await;
    world.run().await;
    for id in [long, redrive] {
        assert_eq!(world.status(id).await, OperationStatus::Finished);
    }
    let sent = world.sent();
    let letter = ids("b", [1]).remove(0);
    let place = sent.iter().position(|id| *id == letter);
    assert!(
        place.is_some_and(|place| place <= usize::from(REPLAY_PAGES)),
        "{place:?}"
    );
}

#[tokio::test]
async fn a_replay_to_a_consumer_that_is_gone_pauses_itself() {
    let world = world(Fate::Fails);
    world.logged("a", 1..=3, DAY).await;
    let gone = WantedReplay {
        // It is not in the spine.
        consumer: ConsumerName::new("activity-feed").expect("a name"),
        ..every_event()
    };
    let id = world.replays(&gone, 10).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Paused);
    let selection: Option<ReplaySelection> = world.operation(id).await.0.replay().cloned();
    assert_eq!(selection.map(|one| one.consumer), Some(gone.consumer));
    world.change(id, OperationChange::Cancelled).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
}

#[tokio::test]
async fn a_letter_of_a_first_replay_is_sent_back_as_a_part_of_it() {
    let world = world(Fate::Handles);
    let first = FirstReplay {
        began: Timestamp::EPOCH.plus(DAY),
        since: Timestamp::EPOCH.plus(DAY * 2),
    };
    world.park_as(&event("a", 1), Some(first)).await;
    world.park(&event("b", 1)).await;
    world.begin(OperationAct::Redrive, 10, false).await;
    world.run().await;
    let firsts: BTreeSet<_> = world.firsts().into_iter().collect();
    assert_eq!(firsts, BTreeSet::from([None, Some(first)]));
}
