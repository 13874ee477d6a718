//! Republications: which pending events are published, how fast, and what an outage, refusals, a pause and a limit change.

use std::sync::atomic::{AtomicU32, Ordering};

use events::contracts::operation::RepublishSelection;
use letters::republish::BeginRepublish;
use outbox::{BusEntry, EntryFault, Publisher};
use tokio::sync::Notify;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// A bus that can be down, and that refuses what it is told to for good.
#[derive(Debug, Default)]
pub(super) struct TestBus {
    published: StdMutex<Vec<String>>,
    calls_that_fail: AtomicU32,
    refuses: StdMutex<Option<String>>,
    /// The call after whose effect the instance dies, counted down.
    dies_at: AtomicU32,
    died: Notify,
}

/// Counts down to 0. Returns what it was before, unless it was 0 already.
fn count_down(left: &AtomicU32) -> Option<u32> {
    left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
        left.checked_sub(1)
    })
    .ok()
}

#[async_trait]
impl Publisher for TestBus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        if count_down(&self.calls_that_fail).is_some() {
            return Err(Fault::new(
                FaultKind::Unavailable,
                "events PutEvents",
                "down",
            ));
        }
        let refused = self.refuses.lock().expect("unpoisoned").clone();
        let publish = |entry: &BusEntry| {
            let event_id = Registry::read(&entry.detail)
                .expect("an envelope")
                .event_id
                .to_string();
            if refused.as_ref() == Some(&event_id) {
                return Err(EntryFault {
                    code: "NotAuthorizedForSource".to_owned(),
                    message: "never".to_owned(),
                    permanent: true,
                });
            }
            self.published.lock().expect("unpoisoned").push(event_id);
            Ok(())
        };
        let answer = entries.iter().map(publish).collect();
        if count_down(&self.dies_at) == Some(1) {
            self.died.notify_one();
            return std::future::pending().await;
        }
        Ok(answer)
    }
}

impl World {
    /// Logs the events of an aggregate at these sequences, committed an age ago and never published.
    async fn pending(
        &self,
        aggregate: &str,
        sequences: impl IntoIterator<Item = u64>,
        age: Duration,
    ) {
        self.log(aggregate, sequences, age, false).await;
    }

    async fn try_republish(
        &self,
        rate: u32,
        change: impl Fn(&mut RepublishSelection),
    ) -> Result<OperationId, String> {
        let mut selection = RepublishSelection {
            to: self.site.clock().now().minus(DAY),
            include_failed: false,
            limit: None,
        };
        change(&mut selection);
        let begun = self
            .execute(async |operations, transaction| {
                let begin = BeginRepublish {
                    selection,
                    rate_per_second: rate,
                    by: because("the stream was off"),
                    key_owner: owner(),
                };
                operations.begin_republish(transaction, begin).await
            })
            .await;
        begun.map(|operation| operation.operation_id())
    }

    async fn republish(&self, rate: u32) -> OperationId {
        self.try_republish(rate, |_| {}).await.expect("begun")
    }

    /// The events that were published, in order.
    fn published(&self) -> Vec<String> {
        self.bus.published.lock().expect("unpoisoned").clone()
    }

    /// How many events were published, refused for good, and left alone.
    async fn republished(&self, id: OperationId) -> [u32; 3] {
        let counts = self.operation(id).await.1.counts;
        [counts.sent, counts.refused, counts.left_failed]
    }
}

#[tokio::test]
async fn what_is_pending_and_old_is_published_once_and_a_page_in_the_order_of_each_aggregate() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=25, DAY * 2).await;
    world.pending("b", 1..=5, DAY * 3).await;
    world.pending("young", 1..=5, HOUR).await;
    let id = world.republish(100).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.republished(id).await, [30, 0, 0]);
    for (aggregate, count) in [("a", 25), ("b", 5)] {
        let expected = ids(aggregate, 1..=count);
        let published = world.published();
        let of_it: Vec<_> = published
            .iter()
            .filter(|id| expected.contains(id))
            .cloned()
            .collect();
        assert_eq!(of_it, expected);
    }
    assert_eq!(world.published().len(), 30);
    // What was published is no longer pending; what was young is old a day later, the first operation's own two events, too.
    world.site.clock().advance(DAY);
    let again = world.republish(100).await;
    world.run().await;
    assert_eq!(world.republished(again).await, [7, 0, 0]);
    assert_eq!(world.published().len(), 37);
    for id in ids("young", 1..=5) {
        assert!(world.published().contains(&id));
    }
}

/// Published, and neither the event's row nor the operation says so: the next page publishes the same again, which consumers
/// do not mind, and goes on. What is counted is what the pages that were completed did.
#[tokio::test]
async fn a_page_that_dies_after_the_bus_took_some_publishes_these_again_and_leaves_nothing_out() {
    for dies_at in 1..=3 {
        let world = world(Fate::Handles);
        world.pending("a", 1..=25, DAY * 2).await;
        let id = world.republish(100).await;
        world.bus.dies_at.store(dies_at, Ordering::SeqCst);
        tokio::select! {
            () = world.bus.died.notified() => {}
            report = world.try_run() => panic!("it did not die: {report:?}"),
        }
        let taken = world.published();
        assert_eq!(
            world.republished(id).await,
            [0, 0, 0],
            "nothing of it is written"
        );
        world.site.clock().advance(HOUR);
        world.run().await;
        assert_eq!(world.status(id).await, OperationStatus::Finished);
        let all = world.published();
        let unrecorded = &all[taken.len()..];
        let mut missed = ids("a", 1..=25);
        missed.retain(|id| !unrecorded.contains(id));
        // Those that are not published again have it in their rows, as all have in the end.
        assert!(missed.iter().all(|id| taken.contains(id)), "{missed:?}");
        for row in world.site.store().items(&log_table()) {
            let is_ours = row["aggregate"] == "cloud_account#a";
            assert!(!is_ours || row.contains_key("published_at"), "{row:?}");
        }
        assert!(
            missed.len() < 25 && unrecorded.len() + missed.len() == 25,
            "{all:?}"
        );
        let [sent, ..] = world.republished(id).await;
        assert_eq!(usize::try_from(sent).expect("small"), unrecorded.len());
    }
}

#[tokio::test]
async fn the_rate_is_kept() {
    const RATE: u32 = 10;
    let world = world(Fate::Handles);
    world.pending("a", 1..=60, DAY * 2).await;
    let id = world.republish(RATE).await;
    world.run().await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    let rows = world.site.store().items(&log_table());
    let times: Vec<Timestamp> = rows
        .iter()
        .filter_map(|row| row.get("published_at"))
        .map(|at| serde_json::from_value(at.clone()).expect("a time"))
        .collect();
    assert_eq!(times.len(), 60);
    for at in &times {
        let second = Duration::from_secs(1);
        let within = times
            .iter()
            .filter(|other| *other >= at && other.since(*at) < second);
        assert!(within.count() <= RATE as usize);
    }
}

#[tokio::test]
async fn while_the_bus_is_down_it_waits_and_nothing_is_lost() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=20, DAY * 2).await;
    world.bus.calls_that_fail.store(9, Ordering::SeqCst);
    let id = world.republish(100).await;
    for _ in 0..5 {
        world.run().await;
    }
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.published(), ids("a", 1..=20));
    assert_eq!(world.republished(id).await, [20, 0, 0]);
}

#[tokio::test]
async fn what_the_bus_refused_for_good_is_left_alone_unless_it_is_wanted() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=3, DAY * 2).await;
    *world.bus.refuses.lock().expect("unpoisoned") = ids("a", 2..=2).pop();
    let first = world.republish(100).await;
    world.run().await;
    assert_eq!(world.republished(first).await, [2, 1, 0]);
    *world.bus.refuses.lock().expect("unpoisoned") = None;
    let second = world.republish(100).await;
    world.run().await;
    assert_eq!(world.republished(second).await, [0, 0, 1]);
    let third = world
        .try_republish(100, |selection| selection.include_failed = true)
        .await;
    world.run().await;
    assert_eq!(world.republished(third.expect("begun")).await, [1, 0, 0]);
    assert_eq!(sorted(world.published()), sorted(ids("a", 1..=3)));
}

#[tokio::test]
async fn what_is_left_alone_is_counted_once_however_small_the_pages_are() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=10, DAY * 2).await;
    *world.bus.refuses.lock().expect("unpoisoned") = ids("a", 5..=5).pop();
    let first = world.republish(100).await;
    world.run().await;
    assert_eq!(world.republished(first).await, [9, 1, 0]);
    world.pending("b", 1..=10, DAY * 2).await;
    let second = world.republish(1).await;
    for _ in 0..3 {
        world.run().await;
    }
    assert_eq!(world.status(second).await, OperationStatus::Finished);
    assert_eq!(world.republished(second).await, [10, 0, 1]);
}

#[tokio::test]
async fn an_outage_that_does_not_end_pauses_it_and_others_get_their_turn_meanwhile() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=5, DAY * 2).await;
    world.letters("m", 3).await;
    world.bus.calls_that_fail.store(u32::MAX, Ordering::SeqCst);
    let id = world.republish(100).await;
    let redrive = world.begin(OperationAct::Redrive, 10, false).await;
    let begun = world.site.clock().now();
    world.run().await;
    assert_eq!(world.status(redrive).await, OperationStatus::Finished);
    // A run is over long before its page could be too long.
    assert!(world.site.clock().now().since(begun) < Duration::from_secs(60 + 15));
    for _ in 0..9 {
        assert_eq!(world.status(id).await, OperationStatus::Running);
        world.run().await;
    }
    assert_eq!(world.status(id).await, OperationStatus::Paused);
    world.bus.calls_that_fail.store(0, Ordering::SeqCst);
    world.change(id, OperationChange::Resumed).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.published(), ids("a", 1..=5));
}

#[tokio::test]
async fn no_more_are_published_than_the_limit_allows() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=30, DAY * 2).await;
    let id = world
        .try_republish(10, |selection| selection.limit = Some(12))
        .await
        .expect("begun");
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    // A walk has no order: which ones these are is not told.
    let published = world.published();
    assert!(published.iter().all(|id| ids("a", 1..=30).contains(id)));
    assert_eq!(published.len(), 12);
    assert_eq!(world.republished(id).await, [12, 0, 0]);
}

#[tokio::test]
async fn a_paused_one_publishes_nothing_and_a_second_names_the_first() {
    let world = world(Fate::Handles);
    world.pending("a", 1..=5, DAY * 2).await;
    let id = world.republish(100).await;
    world.change(id, OperationChange::Paused).await;
    world.run().await;
    assert!(world.published().is_empty());
    let second = world.try_republish(100, |_| {}).await;
    assert!(second.is_err_and(|refusal| refusal.contains(&id.to_string())));
    world.change(id, OperationChange::Resumed).await;
    world.run().await;
    assert_eq!(world.published(), ids("a", 1..=5));
    // A cancelled one ends at once and leaves the others pending.
    world.pending("b", 1..=5, DAY * 2).await;
    let third = world.republish(100).await;
    world.change(third, OperationChange::Cancelled).await;
    world.run().await;
    assert_eq!(world.status(third).await, OperationStatus::Finished);
    assert_eq!(world.published().len(), 5);
}
