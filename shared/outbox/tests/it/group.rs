//! Group commit: transactions that are decided together are committed in one call, and every member gets the answer
//! that it would have got alone.

use std::sync::Arc;

use events::{Cause, Usd};
use futures::future::join_all;
use outbox::{
    Decision, Error, FaultKind, MAX_TRANSACTION_ITEMS, Mark, Outbox, Outcome, Reason, Store,
    group::GroupStore, memory::MemoryStore,
};
use proptest::prelude::*;
use testkit::TestClock;

use crate::{
    faulty::{Fate, Faulty},
    fixtures::{Account, domain, events_table, execute_set, marks, outbox, request, usd},
};

/// Mark, state and event of one `execute_set`.
const WRITES: usize = 3;

struct Bench {
    memory: Arc<MemoryStore>,
    store: Arc<Faulty>,
    plain: Outbox,
    outbox: Outbox,
    group: Arc<GroupStore>,
}

fn bench(script: impl IntoIterator<Item = Fate>) -> Bench {
    let memory = Arc::new(MemoryStore::new());
    let store = Faulty::new(&memory, script, Fate::Pass);
    let plain = outbox(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(TestClock::new(1)),
    );
    let (outbox, group) = plain.grouped();
    Bench {
        memory,
        store,
        plain,
        outbox,
        group,
    }
}

type Answer = Result<Outcome<String, String>, Error>;

impl Bench {
    /// Sets accounts to balances, all at the same time.
    async fn set(&self, orders: &[(&str, &str, &str)]) -> Vec<Answer> {
        let members: Vec<_> = orders.iter().map(|_| self.group.join()).collect();
        join_all(
            orders
                .iter()
                .zip(members)
                .map(|((key, id, balance), member)| async move {
                    let answer = execute_set(&self.outbox, &request(key), id, balance).await;
                    drop(member);
                    answer
                }),
        )
        .await
    }

    async fn balance(&self, id: &str) -> Option<Usd> {
        let entity = self.plain.load::<Account>(&domain(), id).await;
        entity
            .expect("loads")
            .state()
            .map(|account| account.balance)
    }

    fn events(&self) -> usize {
        self.memory.items(&events_table()).len()
    }

    /// The number of writes in each call.
    fn calls(&self) -> Vec<usize> {
        self.store
            .sent()
            .iter()
            .map(|sent| sent.writes.len())
            .collect()
    }
}

fn is_committed(answer: &Answer) -> bool {
    matches!(answer, Ok(Outcome::Committed { .. }))
}

fn accounts(count: usize) -> Vec<(String, String)> {
    (0..count)
        .map(|number| (format!("key-{number}"), format!("{}", 1000 + number)))
        .collect()
}

async fn set_many(bench: &Bench, count: usize) -> Vec<Answer> {
    let names = accounts(count);
    let orders: Vec<_> = names
        .iter()
        .map(|(key, id)| (key.as_str(), id.as_str(), "10"))
        .collect();
    bench.set(&orders).await
}

fn cancelled(members: usize, blamed: usize, reason: &Reason) -> Fate {
    let mut reasons = vec![Reason::None; members * WRITES];
    reasons[blamed * WRITES + 1] = reason.clone();
    Fate::Cancel(reasons)
}

#[tokio::test]
async fn what_is_decided_together_goes_in_one_call() {
    let bench = bench([]);
    let answers = set_many(&bench, 10).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls(), [10 * WRITES]);
    assert_eq!(bench.events(), 10);
    assert_eq!(bench.memory.items(&marks()).len(), 10);
}

#[tokio::test]
async fn a_single_transaction_goes_under_its_own_token() {
    let bench = bench([Fate::Lost]);
    assert!(is_committed(&set_many(&bench, 1).await[0]));
    let sent = bench.store.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1], "the same bytes under the same token");
}

#[tokio::test]
async fn what_touches_the_same_item_goes_in_another_call() {
    let bench = bench([]);
    let answers = bench
        .set(&[("a", "1", "10"), ("b", "2", "20"), ("c", "1", "30")])
        .await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls()[..2], [2 * WRITES, WRITES]);
    assert!(
        matches!(bench.balance("1").await, Some(balance) if balance == usd("10") || balance == usd("30"))
    );
    assert_eq!(bench.events(), 3);
}

#[tokio::test]
async fn no_call_has_more_items_than_a_transaction_may() {
    let bench = bench([]);
    let count = 2 * (MAX_TRANSACTION_ITEMS / WRITES) + 1;
    let answers = set_many(&bench, count).await;
    assert!(answers.iter().all(is_committed));
    assert!(
        bench
            .calls()
            .iter()
            .all(|writes| *writes <= MAX_TRANSACTION_ITEMS)
    );
    assert_eq!(bench.calls().len(), 3);
    assert_eq!(bench.events(), count);
}

#[tokio::test]
async fn the_one_to_blame_is_answered_and_the_others_go_without_it() {
    let bench = bench([]);
    assert!(is_committed(
        &execute_set(&bench.plain, &request("key-1"), "1001", "10").await
    ));
    let answers = set_many(&bench, 3).await;
    assert!(
        is_committed(&answers[0]) && is_committed(&answers[2]),
        "{answers:?}"
    );
    assert!(
        matches!(answers[1], Ok(Outcome::AlreadyDone(_))),
        "{answers:?}"
    );
    assert_eq!(bench.calls(), [WRITES, 3 * WRITES, 2 * WRITES]);
    assert_eq!(bench.events(), 3);
}

#[tokio::test]
async fn a_conflict_makes_only_its_own_member_decide_again() {
    let bench = bench([cancelled(3, 1, &Reason::Conflict)]);
    let answers = set_many(&bench, 3).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls(), [3 * WRITES, 2 * WRITES, WRITES]);
    assert_eq!(bench.events(), 3);
}

#[tokio::test]
async fn where_all_are_blamed_each_is_tried_by_itself() {
    let bench = bench([Fate::Cancel(vec![Reason::ConditionFailed; 2 * WRITES])]);
    let answers = set_many(&bench, 2).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls(), [2 * WRITES, WRITES, WRITES]);
}

#[tokio::test]
async fn a_batch_of_repeats_is_known_as_such_by_one_call() {
    let bench = bench([]);
    set_many(&bench, 5).await;
    let answers = set_many(&bench, 5).await;
    let is_repeat = |answer: &Answer| matches!(answer, Ok(Outcome::AlreadyDone(_)));
    assert!(answers.iter().all(is_repeat), "{answers:?}");
    assert_eq!(bench.calls(), [5 * WRITES; 2]);
}

#[tokio::test]
async fn a_refused_member_does_not_stop_its_neighbours() {
    for kind in [FaultKind::Rejected, FaultKind::Denied] {
        let bench = bench([
            Fate::NotWritten(kind),
            Fate::Pass,
            Fate::NotWritten(kind),
            Fate::Pass,
        ]);
        let answers = set_many(&bench, 3).await;
        assert_eq!(
            answers.iter().filter(|answer| is_committed(answer)).count(),
            2
        );
        assert_eq!(answers.iter().filter(|answer| answer.is_err()).count(), 1);
    }
}

#[tokio::test]
async fn a_group_whose_answer_was_lost_is_sent_again_under_its_own_token() {
    for fate in [
        Fate::Lost,
        Fate::DoneButLost,
        Fate::Late,
        Fate::NotWritten(FaultKind::Unavailable),
    ] {
        let bench = bench([fate.clone()]);
        let answers = set_many(&bench, 4).await;
        assert!(answers.iter().all(is_committed), "{fate:?}: {answers:?}");
        assert_eq!(bench.events(), 4, "{fate:?}");
        let sent = bench.store.sent();
        assert_eq!(sent.len(), 2, "{fate:?}");
        assert_eq!(sent[0], sent[1], "the same bytes under the same token");
    }
}

#[tokio::test]
async fn answers_that_stay_lost_are_settled_member_by_member() {
    for last in [Fate::Lost, Fate::DoneButLost, Fate::Late] {
        let bench = bench([Fate::Lost, last.clone()]);
        let answers = set_many(&bench, 4).await;
        assert!(answers.iter().all(is_committed), "{last:?}: {answers:?}");
        assert_eq!(bench.events(), 4, "{last:?}");
        // Each member's own bytes are sent again; the group is not sent a third time.
        let again = &bench.store.sent()[2..];
        assert!(again.iter().all(|sent| sent.writes.len() == WRITES));
    }
}

#[tokio::test]
async fn a_throttled_group_was_not_written_and_is_tried_again() {
    let bench = bench([Fate::NotWritten(FaultKind::Unavailable)]);
    let answers = set_many(&bench, 3).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.events(), 3);
}

#[tokio::test]
async fn nobody_waits_for_a_member_that_decides_for_long() {
    let bench = bench([]);
    let slow = bench.group.join();
    let answers = set_many(&bench, 2).await;
    assert!(answers.iter().all(is_committed));
    drop(slow);
}

#[tokio::test]
async fn members_whose_leader_ends_find_out_by_their_marks() {
    let bench = bench([]);
    let members = [bench.group.join(), bench.group.join()];
    let (one, two) = (request("one"), request("two"));
    let mut leader = Box::pin(execute_set(&bench.outbox, &one, "1", "10"));
    let mut follower = Box::pin(execute_set(&bench.outbox, &two, "2", "20"));
    // Both members have decided. The first that found every member waiting has begun the group's call.
    assert!(futures::poll!(&mut leader).is_pending());
    assert!(futures::poll!(&mut follower).is_pending());
    assert!(futures::poll!(&mut leader).is_pending());
    drop(leader);
    assert!(is_committed(&follower.await));
    drop(members);
    assert_eq!(bench.calls(), [WRITES], "its own bytes, sent alone");
    assert_eq!(bench.events(), 1);
}

/// A member of a random batch: the account that it changes, and whether it repeats an earlier request.
fn batches() -> impl Strategy<Value = Vec<(u8, Option<u8>)>> {
    prop::collection::vec((0..4_u8, prop::option::weighted(0.3, 0..6_u8)), 1..14)
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        4 => Just(Fate::Pass),
        1 => Just(Fate::Lost),
        1 => Just(Fate::DoneButLost),
        1 => Just(Fate::Late),
        1 => Just(Fate::NotWritten(FaultKind::Unavailable)),
    ];
    prop::collection::vec(fate, 0..8)
}

proptest! {
    /// Under any faults, a request took effect once if success was reported, and at most once otherwise. The log has as
    /// many events as there are marks.
    #[test]
    fn every_request_takes_effect_at_most_once(batch in batches(), fates in fates()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let bench = bench(fates);
            let keys: Vec<String> = batch.iter().enumerate().map(|(at, (_, repeats))| match repeats {
                Some(earlier) => format!("key-{}", usize::from(*earlier).min(at)),
                None => format!("key-{at}"),
            }).collect();
            let ids: Vec<String> = batch.iter().map(|(id, _)| id.to_string()).collect();
            let orders: Vec<_> = keys.iter().zip(&ids).map(|(key, id)| (key.as_str(), id.as_str(), "10")).collect();
            let answers = bench.set(&orders).await;
            for (key, answer) in keys.iter().zip(&answers) {
                let done = bench.plain.done(&request(key)).await.expect("reads");
                if matches!(answer, Ok(Outcome::Committed { .. } | Outcome::AlreadyDone(_))) {
                    prop_assert!(done.is_some(), "success was reported for {key}");
                }
            }
            for key in keys.iter().collect::<std::collections::BTreeSet<_>>() {
                let commits = keys.iter().zip(&answers).filter(|(other, answer)| *other == key && is_committed(answer)).count();
                prop_assert!(commits <= 1, "{key} was committed {commits} times");
            }
            prop_assert_eq!(bench.memory.items(&marks()).len(), bench.events());
            Ok(())
        })?;
    }
}

#[tokio::test]
async fn a_refusal_writes_nothing_and_holds_nobody_up() {
    let bench = bench([]);
    let members = [bench.group.join(), bench.group.join()];
    let refused = async {
        let mark: Mark = request("refused");
        let answer: Answer = bench
            .outbox
            .execute(&mark, &Cause::default(), |_| async {
                Ok::<_, Error>(Decision::Refuse("no".to_owned()))
            })
            .await;
        answer
    };
    let done = execute_set_owned(&bench.outbox, "done", "1");
    let (refused, done) = futures::join!(refused, done);
    assert!(matches!(refused, Ok(Outcome::Refused(_))));
    assert!(is_committed(&done));
    drop(members);
}

async fn execute_set_owned(outbox: &Outbox, key: &str, id: &str) -> Answer {
    execute_set(outbox, &request(key), id, "10").await
}
