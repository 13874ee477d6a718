//! The rules of pausing, the way back from its events, and the rows in a store.

use std::sync::Arc;

use domain::{
    rebuild,
    testing::{Log, at, number},
};
use events::{Cause, Registry};
use outbox::{Decision, Mark, Outcome, SystemClock, memory::MemoryStore};

use super::{
    ConsumerStatus::{Paused as IsPaused, Running},
    *,
};
use crate::{Operations, operation::Unfinished};

fn name(name: &str) -> ConsumerName {
    ConsumerName::new(name).expect("a name")
}

fn by(reason: &str) -> PausedBy {
    PausedBy {
        reason: Text::new(reason).expect("a reason"),
        actor: Some(Text::new("ada").expect("a user")),
        key_owner: Text::new("on-call").expect("an owner"),
    }
}

#[test]
fn the_longest_name_of_a_function_is_a_consumers_name_and_no_longer_one_is() {
    let longest = "a".repeat(events::LONGEST_FUNCTION_NAME);
    assert!(ConsumerName::new(longest.as_str()).is_ok());
    for wrong in [format!("{longest}a").as_str(), "", "-a", "1a", "a_b", "A"] {
        assert!(ConsumerName::new(wrong).is_err(), "{wrong}");
    }
}

#[test]
fn a_consumer_is_paused_and_resumed_in_turn_and_can_be_rebuilt_from_its_events() {
    let (consumer, mut log) = (name("analytics"), Log::default());
    let mut before: Option<ConsumerState> = None;
    for (step, to) in (1..).zip([IsPaused, Running, IsPaused, Running]) {
        let (version, now) = (number(step), at(step));
        let change =
            |to| ConsumerState::change(before.as_ref(), &consumer, to, by("why"), version, now);
        let same = if to == IsPaused { Running } else { IsPaused };
        let refused = change(same).expect_err("it has this status");
        assert_eq!(
            (refused.from, refused.to),
            (same.to_string(), same.to_string())
        );
        assert_eq!(refused.allowed, [to.to_string()]);
        let changed = change(to).expect("allowed");
        log.append([changed.event.draft().expect("a draft")], now);
        assert_eq!((changed.state.status(), changed.state.since()), (to, now));
        let rebuilt = rebuild::<ConsumerState>(&log.0)
            .expect("follows")
            .expect("events");
        assert_eq!((&rebuilt.state, rebuilt.version), (&changed.state, version));
        before = Some(changed.state);
    }
    assert!(log.names_every_fact_once());
}

#[test]
fn events_that_cannot_follow_each_other_are_no_consumer() {
    let consumer = name("analytics");
    let change = |before: Option<&ConsumerState>, to, version| {
        ConsumerState::change(
            before,
            &consumer,
            to,
            by("why"),
            number(version),
            at(version),
        )
        .expect("allowed")
    };
    let paused = change(None, IsPaused, 1);
    let resumed = change(Some(&paused.state), Running, 2);
    for drafts in [
        vec![resumed.event.draft()],
        vec![paused.event.draft(), paused.event.draft()],
    ] {
        let mut log = Log::default();
        log.append(drafts.into_iter().map(|one| one.expect("a draft")), at(1));
        assert!(rebuild::<ConsumerState>(&log.0).is_err());
    }
}

struct Site {
    outbox: Outbox,
    table: Table,
}

impl Site {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let (events, marks) = (Table::events("events"), Table::marks("marks"));
        Self {
            outbox: Outbox::new(store, clock, registry, events, marks),
            table: Table::domain("letters"),
        }
    }

    fn consumers(&self) -> Consumers<'_> {
        Consumers {
            outbox: &self.outbox,
            table: &self.table,
        }
    }

    /// Every number commits once.
    async fn execute(&self, number: u64, decide: impl AsyncFn(&mut Transaction)) {
        let mark = Mark::Episode {
            name: "test",
            number,
            phase: "opened",
        };
        let decide = &decide;
        let outcome: Outcome<(), ()> = self
            .outbox
            .execute::<_, _, Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
                decide(&mut transaction).await;
                Ok(Decision::Commit(transaction, ()))
            })
            .await
            .expect("executes");
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }

    async fn change(&self, number: u64, consumer: &str, to: ConsumerStatus) {
        let (consumers, consumer) = (self.consumers(), &name(consumer));
        self.execute(number, async |transaction| {
            let entity = consumers.consumer(consumer).await.expect("readable");
            let changed = consumers.change(transaction, &entity, consumer, to, by("why"));
            changed.expect("allowed");
        })
        .await;
    }
}

#[tokio::test]
async fn a_wish_is_there_with_its_state_and_replaced_and_lists_what_is_paused() {
    let site = Site::new();
    site.change(1, "analytics", IsPaused).await;
    site.change(2, "notifications", IsPaused).await;
    site.change(3, "analytics", Running).await;
    let wishes = site.consumers().wishes().await.expect("readable");
    let wished: Vec<(&str, ConsumerStatus)> = wishes
        .iter()
        .map(|wish| (wish.consumer.as_str(), wish.status))
        .collect();
    assert_eq!(
        wished,
        [("analytics", Running), ("notifications", IsPaused)]
    );
    let listed: (Vec<Wish>, _) = site
        .outbox
        .rows(&paused(&site.table))
        .await
        .expect("readable");
    assert_eq!(listed.0, [wishes[1].clone()]);
    assert_eq!(listed.0[0].reason.as_str(), "why");
}

#[tokio::test]
async fn wishes_are_work_and_no_operations() {
    let site = Site::new();
    let operations = Operations {
        outbox: &site.outbox,
        table: &site.table,
    };
    assert!(!operations.is_work_left().await.expect("readable"));
    site.change(1, "analytics", IsPaused).await;
    assert!(operations.is_work_left().await.expect("readable"));
    assert!(operations.unfinished().await.expect("readable").is_empty());
    // An operation whose id comes last of all stands before the wishes.
    let last = uuid::Uuid::from_u128(u128::MAX).into();
    site.execute(2, async |transaction| {
        let row = Unfinished { operation_id: last };
        let key = Unfinished::key(&site.table, last);
        transaction.insert(key, &row).expect("a row");
    })
    .await;
    assert_eq!(operations.unfinished().await.expect("readable"), [last]);
    assert_eq!(site.consumers().wishes().await.expect("readable").len(), 1);
}

#[tokio::test]
async fn the_wish_of_a_resumed_consumer_goes_after_a_while_and_no_newer_one_with_it() {
    let site = Site::new();
    site.change(1, "analytics", IsPaused).await;
    let paused = site.consumers().wishes().await.expect("readable").remove(0);
    let in_a_year = paused.since.plus(Duration::from_secs(365 * 24 * 60 * 60));
    assert!(!paused.is_over(in_a_year));
    site.change(2, "analytics", Running).await;
    let resumed = site.consumers().wishes().await.expect("readable").remove(0);
    let early = resumed.since.plus(WISH_LIFE - Duration::from_secs(1));
    assert!(!resumed.is_over(early));
    assert!(resumed.is_over(resumed.since.plus(WISH_LIFE)));

    let mark = Mark::Episode {
        name: "test",
        number: 3,
        phase: "opened",
    };
    let (table, old) = (&site.table, &paused);
    let outcome: Outcome<(), ()> = site
        .outbox
        .execute::<_, _, Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            old.remove(&mut transaction, table);
            Ok(Decision::Commit(transaction, ()))
        })
        .await
        .expect("executes");
    assert!(matches!(outcome, Outcome::Contention), "{outcome:?}");
    site.execute(4, async |transaction| resumed.remove(transaction, table))
        .await;
    assert!(
        site.consumers()
            .wishes()
            .await
            .expect("readable")
            .is_empty()
    );
}
