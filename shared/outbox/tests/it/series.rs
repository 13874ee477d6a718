//! Rows that are numbered in one series: what is decided together gets consecutive numbers in one call, and under any
//! faults the numbers have no gap and every mark has one row.

use std::{collections::BTreeSet, sync::Arc};

use events::Cause;
use futures::future::join_all;
use outbox::{
    Condition, Decision, Error, FaultKind, Key, MAX_TRANSACTION_ITEMS, Outbox, Outcome, POSITION,
    Reason, Store, Table, encode_item, group::GroupStore, memory::MemoryStore,
};
use proptest::prelude::*;
use serde_json::{Value, json};
use testkit::TestClock;

use crate::{
    faulty::{Fate, Faulty},
    fixtures::{marks, outbox, request},
};

/// The mark and the numbered row of one transaction. The head comes on top, once per call.
const WRITES: usize = 2;

type Answer = Result<Outcome<(), ()>, Error>;

struct Bench {
    memory: Arc<MemoryStore>,
    store: Arc<Faulty>,
    plain: Outbox,
}

fn bench(script: impl IntoIterator<Item = Fate>) -> Bench {
    let memory = Arc::new(MemoryStore::new());
    let store = Faulty::new(&memory, script, Fate::Pass);
    let plain = outbox(
        Arc::clone(&store) as Arc<dyn Store>,
        Arc::new(TestClock::new(1)),
    );
    Bench {
        memory,
        store,
        plain,
    }
}

fn rows() -> Table {
    Table::domain("rows")
}

fn head() -> Key {
    rows().key("head", "head")
}

fn row(number: u64) -> Key {
    rows().key("row", format!("{number:020}"))
}

async fn number(outbox: &Outbox, key: &str) -> Answer {
    let name = key.to_owned();
    outbox
        .execute(&request(key), &Cause::default(), |mut transaction| {
            let name = name.clone();
            async move {
                let series = outbox.series(head()).await?;
                transaction.number(series, move |number| {
                    let key = row(number);
                    let item = encode_item(&key, &json!({ "name": name, "number": number }))?;
                    Ok(vec![(key, item)])
                })?;
                Ok(Decision::Commit(transaction, ()))
            }
        })
        .await
}

/// Numbers rows of these requests, all at the same time, in one group.
async fn together(outbox: &Outbox, group: &GroupStore, keys: &[String]) -> Vec<Answer> {
    let members: Vec<_> = keys.iter().map(|_| group.join()).collect();
    join_all(keys.iter().zip(members).map(|(key, member)| async move {
        let answer = number(outbox, key).await;
        drop(member);
        answer
    }))
    .await
}

impl Bench {
    async fn together(&self, keys: &[String]) -> Vec<Answer> {
        let (outbox, group) = self.plain.grouped();
        together(&outbox, &group, keys).await
    }

    fn calls(&self) -> Vec<usize> {
        let sent = self.store.sent();
        sent.iter().map(|sent| sent.writes.len()).collect()
    }

    /// The names of the rows in the order of their numbers, after checking that each has its own number and that the head
    /// is at the last.
    fn names(&self) -> Vec<String> {
        let mut names = Vec::new();
        let mut at = None;
        for item in self.memory.items(&rows()) {
            match item.get("name").and_then(Value::as_str) {
                None => at = item.get(POSITION).and_then(Value::as_u64),
                Some(name) => {
                    let number = item.get("number").and_then(Value::as_u64);
                    assert_eq!(Key::of(&rows(), &item), number.map(row));
                    names.push((number, name.to_owned()));
                }
            }
        }
        names.sort();
        let numbers: Vec<_> = names.iter().filter_map(|(number, _)| *number).collect();
        let expected: Vec<u64> = (1..).take(names.len()).collect();
        assert_eq!(numbers, expected);
        assert_eq!(at.unwrap_or(0), names.len() as u64);
        names.into_iter().map(|(_, name)| name).collect()
    }
}

fn keys(from: usize, count: usize) -> Vec<String> {
    (from..from + count).map(|at| format!("key-{at}")).collect()
}

fn is_committed(answer: &Answer) -> bool {
    matches!(answer, Ok(Outcome::Committed { .. }))
}

/// A cancellation of `members` that blames the head alone.
fn outrun(members: usize, reason: &Reason) -> Fate {
    let mut reasons = vec![Reason::None; members * WRITES + 1];
    // The head's write comes where the first member's is: after its mark.
    reasons[1] = reason.clone();
    Fate::Cancel(reasons)
}

#[tokio::test]
async fn what_is_decided_together_gets_consecutive_numbers_in_one_call() {
    let bench = bench([]);
    let answers = bench.together(&keys(0, 10)).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls(), [10 * WRITES + 1]);
    assert_eq!(bench.store.gets(), 1, "the head is read once for all");
    assert_eq!(bench.names(), keys(0, 10));
    bench.together(&keys(10, 10)).await;
    assert_eq!(bench.names(), keys(0, 20));
}

#[tokio::test]
async fn no_call_has_more_items_than_a_transaction_may() {
    let bench = bench([]);
    let count = MAX_TRANSACTION_ITEMS;
    let answers = bench.together(&keys(0, count)).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    let calls = bench.calls();
    assert!(calls.iter().all(|writes| *writes <= MAX_TRANSACTION_ITEMS));
    assert_eq!(bench.names().len(), count);
}

#[tokio::test]
async fn a_group_that_was_outrun_is_numbered_again_without_a_new_decision() {
    for reason in [Reason::ConditionFailed, Reason::Conflict] {
        let bench = bench([outrun(5, &reason), outrun(5, &reason)]);
        let answers = bench.together(&keys(0, 5)).await;
        assert!(answers.iter().all(is_committed), "{answers:?}");
        assert_eq!(bench.calls(), [5 * WRITES + 1; 3]);
        assert_eq!(bench.names(), keys(0, 5));
    }
}

#[tokio::test]
async fn a_group_that_is_outrun_again_and_again_decides_again() {
    // The first call, and as many as a group is numbered again.
    const CALLS: usize = 1 + 16;
    let always = std::iter::repeat_n(outrun(5, &Reason::ConditionFailed), CALLS);
    let bench = bench(always);
    let answers = bench.together(&keys(0, 5)).await;
    assert!(answers.iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.calls()[..CALLS], [5 * WRITES + 1; CALLS]);
    let names: BTreeSet<_> = bench.names().into_iter().collect();
    assert_eq!(names, keys(0, 5).into_iter().collect());
}

#[tokio::test]
async fn two_groups_at_the_same_time_number_one_series() {
    let bench = bench([]);
    let (one, first) = bench.plain.grouped();
    let (two, second) = bench.plain.grouped();
    let (ours, theirs) = (keys(0, 20), keys(20, 20));
    let (left, right) = futures::join!(
        together(&one, &first, &ours),
        together(&two, &second, &theirs)
    );
    assert!(left.iter().chain(&right).all(is_committed));
    let names: BTreeSet<_> = bench.names().into_iter().collect();
    assert_eq!(names, keys(0, 40).into_iter().collect());
}

#[tokio::test]
async fn a_repeat_gets_no_number_and_leaves_no_gap() {
    let bench = bench([]);
    assert!(is_committed(&number(&bench.plain, "key-1").await));
    let answers = bench.together(&keys(0, 3)).await;
    assert!(matches!(answers[1], Ok(Outcome::AlreadyDone(_))));
    assert!(is_committed(&answers[0]) && is_committed(&answers[2]));
    assert_eq!(bench.names(), ["key-1", "key-0", "key-2"]);
    // The group with the repeat, then the group without it.
    assert_eq!(bench.calls()[1..], [3 * WRITES + 1, 2 * WRITES + 1]);
}

#[tokio::test]
async fn a_batch_of_repeats_is_known_as_such_by_one_call() {
    let bench = bench([]);
    bench.together(&keys(0, 10)).await;
    let answers = bench.together(&keys(0, 10)).await;
    let is_repeat = |answer: &Answer| matches!(answer, Ok(Outcome::AlreadyDone(_)));
    assert!(answers.iter().all(is_repeat), "{answers:?}");
    assert_eq!(bench.calls(), [10 * WRITES + 1; 2]);
    assert_eq!(bench.names(), keys(0, 10));
}

#[tokio::test]
async fn a_group_with_a_repeat_that_was_outrun_goes_on_together_without_it() {
    // The mark of the repeat, and the head that another writer has moved.
    let mut reasons = vec![Reason::None; 5 * WRITES + 1];
    (reasons[0], reasons[1]) = (Reason::ConditionFailed, Reason::ConditionFailed);
    let bench = bench([Fate::Pass, Fate::Cancel(reasons)]);
    assert!(is_committed(&number(&bench.plain, "key-0").await));
    let answers = bench.together(&keys(0, 5)).await;
    assert!(
        matches!(answers[0], Ok(Outcome::AlreadyDone(_))),
        "{answers:?}"
    );
    assert!(answers[1..].iter().all(is_committed), "{answers:?}");
    assert_eq!(bench.names(), keys(0, 5));
    assert_eq!(bench.calls()[1..], [5 * WRITES + 1, 4 * WRITES + 1]);
}

#[tokio::test]
async fn who_writes_the_head_in_another_way_is_not_in_the_same_call() {
    let bench = bench([]);
    let (outbox, group) = bench.plain.grouped();
    let members = [group.join(), group.join()];
    let other = async {
        let mark = request("other");
        let answer: Answer = outbox
            .execute(&mark, &Cause::default(), |mut transaction| async {
                transaction.check(head(), Condition::Absent);
                Ok::<_, Error>(Decision::Commit(transaction, ()))
            })
            .await;
        answer
    };
    let (checked, numbered) = futures::join!(other, number(&outbox, "key-0"));
    drop(members);
    assert!(is_committed(&checked) && is_committed(&numbered));
    assert_eq!(bench.calls(), [2, WRITES + 1]);
}

fn fates() -> impl Strategy<Value = Vec<Fate>> {
    let fate = prop_oneof![
        4 => Just(Fate::Pass),
        1 => Just(Fate::Lost),
        1 => Just(Fate::DoneButLost),
        1 => Just(Fate::Late),
        1 => Just(Fate::NotWritten(FaultKind::Unavailable)),
        1 => Just(Fate::NotWritten(FaultKind::Rejected)),
    ];
    prop::collection::vec(fate, 0..12)
}

proptest! {
    /// Two groups with some requests in both. Under any faults every mark has one row, the numbers have no gap, and what
    /// was reported as done is done.
    #[test]
    fn numbers_have_no_gap_and_no_request_has_two(ours in 1..8_usize, shared in 0..4_usize, theirs in 1..8_usize, fates in fates()) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
        runtime.block_on(async {
            let bench = bench(fates);
            let (one, first) = bench.plain.grouped();
            let (two, second) = bench.plain.grouped();
            let left = keys(0, ours + shared);
            let right = keys(ours, shared + theirs);
            let answers = futures::join!(together(&one, &first, &left), together(&two, &second, &right));
            let names = bench.names();
            let distinct: BTreeSet<_> = names.iter().collect();
            prop_assert_eq!(distinct.len(), names.len());
            prop_assert_eq!(bench.memory.items(&marks()).len(), names.len());
            for (key, answer) in left.iter().zip(&answers.0).chain(right.iter().zip(&answers.1)) {
                if matches!(answer, Ok(Outcome::Committed { .. } | Outcome::AlreadyDone(_))) {
                    prop_assert!(distinct.contains(key), "{} has no row", key);
                }
            }
            Ok(())
        })?;
    }
}
