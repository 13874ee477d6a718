//! What operators wish about consumers comes about, whatever happens in between.

use events::ConsumerName;
use letters::{
    ConsumerStatus::{self, Paused, Running},
    Consumers,
    pause::{PausedBy, WISH_LIFE, Wish},
};
use mappings::MappingState::{Disabled, Disabling, Enabled};

use super::*;

impl World {
    /// Writes a wish, and dies before Lambda is told.
    async fn wish(&self, consumer: &str, to: ConsumerStatus) {
        let name = &ConsumerName::new(consumer).expect("a name");
        let wished = self.execute(async |operations, transaction| {
            let consumers = Consumers {
                outbox: operations.outbox,
                table: operations.table,
            };
            let entity = consumers.consumer(name).await?;
            let by = PausedBy {
                reason: Text::new("why").expect("a reason"),
                actor: None,
                key_owner: owner(),
            };
            let changed = consumers.change(transaction, &entity, name, to, by);
            changed.expect("allowed");
            Ok(())
        });
        wished.await.expect("wished");
    }

    async fn wishes(&self) -> Vec<Wish> {
        let (outbox, table) = &self.operations();
        let consumers = Consumers { outbox, table };
        consumers.wishes().await.expect("readable")
    }

    fn states(&self) -> Vec<mappings::MappingState> {
        self.mappings.states("mill_analytics")
    }

    fn someone_sets(&self, state: mappings::MappingState) {
        for place in 0..2 {
            self.mappings.set_state("mill_analytics", place, state);
        }
    }
}

fn count(report: &Report, name: &str) -> u64 {
    report.counts.get(name).copied().unwrap_or_default()
}

#[tokio::test]
async fn without_a_wish_nothing_is_asked_of_lambda_and_no_lease_is_taken() {
    let world = world(Fate::Handles);
    assert_eq!(world.run().await.pages, 0);
    // With other work, neither.
    world.letters("a", 1).await;
    assert!(world.run().await.pages > 0);
    assert!(world.mappings.asked().is_empty());
    assert_eq!(world.states(), [Enabled; 2]);
}

#[tokio::test]
async fn a_wish_that_lambda_was_not_told_of_is_fulfilled_and_holds_against_deployments() {
    let world = world(Fate::Handles);
    world.wish("analytics", Paused).await;
    assert_eq!(count(&world.run().await, "paused"), 1);
    assert_eq!(world.states(), [Disabled; 2]);
    // Nothing more is asked for while it is as wished.
    assert_eq!(count(&world.run().await, "paused"), 0);
    assert_eq!(world.mappings.asked().len(), 2);
    // A deployment enables one of them.
    world.mappings.set_state("mill_analytics", 0, Enabled);
    assert_eq!(count(&world.run().await, "paused"), 1);
    assert_eq!(world.states(), [Disabled; 2]);
    // However long it is paused.
    world.site.clock().advance(WISH_LIFE * 100);
    world.run().await;
    world.someone_sets(Enabled);
    world.run().await;
    assert_eq!(world.states(), [Disabled; 2]);
    assert_eq!(world.wishes().await.len(), 1);
}

#[tokio::test]
async fn a_resumed_consumer_is_polled_again_and_its_wish_goes_after_a_while() {
    let world = world(Fate::Handles);
    world.wish("analytics", Paused).await;
    world.run().await;
    world.wish("analytics", Running).await;
    assert_eq!(count(&world.run().await, "resumed"), 1);
    assert_eq!(world.states(), [Enabled; 2]);
    // A call for the older wish arrives late.
    world.someone_sets(Disabled);
    assert_eq!(count(&world.run().await, "resumed"), 1);
    assert_eq!(world.states(), [Enabled; 2]);
    world.site.clock().advance(WISH_LIFE);
    world.run().await;
    assert!(world.wishes().await.is_empty());
    assert_eq!(world.run().await.pages, 0, "nothing is left to do");
    // What is disabled by hand is not ours.
    world.someone_sets(Disabled);
    world.run().await;
    assert_eq!(world.states(), [Disabled; 2]);
}

#[tokio::test]
async fn what_lambda_refuses_fails_no_run_is_noted_and_tried_again() {
    let world = world(Fate::Handles);
    world.wish("analytics", Paused).await;
    for kind in [FaultKind::Unavailable, FaultKind::Denied] {
        world.mappings.fail(Some(kind));
        let report = world.run().await;
        assert_eq!(count(&report, "not_applied"), 1);
        let note = report.notes.first().expect("a note");
        assert!(note.starts_with("analytics is not paused yet"), "{note}");
        assert_eq!(world.states(), [Enabled; 2]);
    }
    world.mappings.fail(None);
    world.mappings.set_busy(true);
    assert_eq!(count(&world.run().await, "busy"), 1);
    world.mappings.set_busy(false);
    world.someone_sets(Disabling);
    assert!(world.run().await.counts.keys().all(|name| name == "closed"));
    world.someone_sets(Enabled);
    world.run().await;
    assert_eq!(world.states(), [Disabled; 2]);
}

#[tokio::test]
async fn a_pass_that_does_not_get_on_does_not_keep_a_consumer_from_being_paused() {
    let world = world(Fate::Fails);
    world.letters("a", 1).await;
    world.begin(OperationAct::Redrive, 10, false).await;
    world.try_run().await.expect_err("the lane is down");
    world.wish("analytics", Paused).await;
    world.try_run().await.expect_err("the lane is still down");
    assert_eq!(world.states(), [Disabled; 2]);
}

#[tokio::test]
async fn a_consumer_that_is_not_deployed_any_more_is_left_alone() {
    let world = world(Fate::Handles);
    world.wish("cloud-treasury", Paused).await;
    world.run().await;
    world.wish("cloud-treasury", Running).await;
    world.site.clock().advance(WISH_LIFE);
    world.run().await;
    assert!(world.mappings.asked().is_empty());
    assert!(world.wishes().await.is_empty());
}
