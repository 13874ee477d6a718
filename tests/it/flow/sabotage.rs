//! Safeguards removed, one at a time. Each removal is a wrapper between the code and a port of the flow; shipped code
//! has no switch for any of them.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use consumer::{Letter, Queue};
use events::Timestamp;
use outbox::{
    BusEntry, CommitError, Condition, EntryFault, Fault, Guarded, GuardedPut, Item, Key, Page,
    Prepared, Publisher, Query, Reason, Scan, Store, Table, Write, log::LogRow,
};
use testkit::flow::{Builder, Faults};

use super::{
    drawn, orders_of,
    world::{Command, World, feed_table, loan_orders, run, settlement_orders},
};

/// What a damaged store leaves out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Damage {
    /// The mark of every transaction.
    Marks,
    /// The condition of every other write.
    Conditions,
    /// The guard of every projection.
    Guards,
    /// The mark's place in the transaction: the mark is written by itself after the rest.
    MarksAfter,
    /// The resolution of a lost answer, which is both sending the same bytes again and looking at the mark. Instead the
    /// decision is made again at once, as after a conflict, and its refusal is believed. (Marks and versions alone
    /// still prevent damage if the decision is only made again too early: with the look at the mark left in, a thousand
    /// runs find nothing.)
    Settling,
    /// The condition of every advance of a cursor.
    CursorConditions,
    /// The condition of every write of the feed.
    FeedConditions,
    /// The block of an aggregate whose event is parked: the block is reported as set, but is not set.
    Blocks,
    /// The read of a single row that is missing from a page of the log: the row is always reported as absent.
    Gaps,
}

fn is_cursor(key: &Key) -> bool {
    key.table == Table::marks("marks") && key.pk.starts_with("cursor#")
}

/// Whether a write is a mark. A call may hold several transactions, each with its mark.
fn is_mark(write: &Write) -> bool {
    write.key().table == Table::marks("marks")
}

struct Damaged {
    inner: Arc<dyn Store>,
    damage: Damage,
    /// Marks of commits whose answer was lost. No read finds them until the next commit.
    unsettled: Mutex<HashSet<Key>>,
}

impl Damaged {
    fn new(inner: Arc<dyn Store>, damage: Damage) -> Self {
        Self {
            inner,
            damage,
            unsettled: Mutex::default(),
        }
    }

    fn unsettled(&self) -> MutexGuard<'_, HashSet<Key>> {
        self.unsettled.lock().expect("never poisoned")
    }
}

impl Damaged {
    /// Makes these writes succeed whatever is stored.
    async fn any_will_do(
        &self,
        damaged: &mut Prepared,
        which: fn(&Write) -> bool,
    ) -> Result<(), CommitError> {
        for write in damaged.writes.iter_mut().filter(|write| which(write)) {
            if let Write::Put { key, condition, .. } = write {
                let there = self.inner.get(key).await.map_err(CommitError::NotWritten)?;
                *condition = if there.is_some() {
                    Condition::Present
                } else {
                    Condition::Absent
                };
            }
        }
        Ok(())
    }

    /// Checks for the mark first and writes it last, outside the transaction.
    async fn commit_and_mark(&self, mut rest: Prepared) -> Result<(), CommitError> {
        let mark = rest.writes.remove(0);
        let Write::Put { key, item, .. } = &mark else {
            unreachable!("the mark must be a put and the first write: {mark:?}");
        };
        let there = self.inner.get(key).await.map_err(CommitError::NotWritten)?;
        if there.is_some() {
            let mut reasons = vec![Reason::None; rest.writes.len() + 1];
            reasons[0] = Reason::ConditionFailed;
            return Err(CommitError::Cancelled(reasons));
        }
        if !rest.writes.is_empty() {
            self.inner.commit(&rest).await?;
        }
        let put = self
            .inner
            .put_all(&key.table, std::slice::from_ref(item))
            .await;
        put.map_err(CommitError::Unknown)
    }
}

#[async_trait]
impl Store for Damaged {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        if self.unsettled().contains(key) {
            return Ok(None);
        }
        if self.damage == Damage::Gaps && key.table == Table::events("events") {
            return Ok(None);
        }
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let mut damaged = prepared.clone();
        match self.damage {
            Damage::Marks => {
                damaged.writes.retain(|write| !is_mark(write));
            }
            Damage::Conditions => {
                self.any_will_do(&mut damaged, |write| !is_mark(write))
                    .await?;
            }
            Damage::MarksAfter => return self.commit_and_mark(damaged).await,
            Damage::Settling => {
                let mark = prepared.writes[0].key().clone();
                // A cursor that cannot be read back would be a different damage.
                if is_cursor(&mark) {
                    return self.inner.commit(prepared).await;
                }
                self.unsettled().remove(&mark);
                let answer = self.inner.commit(prepared).await;
                if !matches!(answer, Err(CommitError::Unknown(_))) {
                    return answer;
                }
                self.unsettled().insert(mark);
                let reasons = vec![Reason::Conflict; prepared.writes.len()];
                return Err(CommitError::Cancelled(reasons));
            }
            Damage::CursorConditions => {
                self.any_will_do(&mut damaged, |write| is_cursor(write.key()))
                    .await?;
            }
            Damage::FeedConditions => {
                self.any_will_do(&mut damaged, |write| write.key().table == feed_table())
                    .await?;
            }
            Damage::Guards | Damage::Blocks | Damage::Gaps => {}
        }
        if damaged.writes.is_empty() {
            return Ok(());
        }
        self.inner.commit(&damaged).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        if self.damage == Damage::Blocks && is_cursor(&put.key) {
            return Ok(Guarded::Applied);
        }
        if self.damage != Damage::Guards {
            return self.inner.put_guarded(put).await;
        }
        let mut item = put.item.clone();
        item.insert("version".to_owned(), put.version.into());
        self.inner.put_all(&put.key.table, &[item]).await?;
        Ok(Guarded::Applied)
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

/// Reports entries as published that were not.
struct Careless(Arc<dyn Publisher>);

#[async_trait]
impl Publisher for Careless {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        let answers = self.0.publish(entries).await?;
        Ok(answers.into_iter().map(|_| Ok(())).collect())
    }
}

/// Records events as published, then publishes them.
struct Hasty {
    bus: Arc<dyn Publisher>,
    store: Arc<dyn Store>,
}

#[async_trait]
impl Publisher for Hasty {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        let log = Table::events("events");
        for entry in entries {
            let envelope = events::Registry::read(&entry.detail).expect("a valid envelope");
            let key = log.numbered_key(envelope.aggregate(), envelope.sequence.number());
            if let Some(item) = self.store.get(&key).await? {
                let row = LogRow::read(item).expect("a valid row");
                self.store
                    .put_all(&log, &[row.published(Timestamp::EPOCH)])
                    .await?;
            }
        }
        self.bus.publish(entries).await
    }
}

/// Reports a dead letter as sent without sending it, for consumers whose name contains a word.
struct Forgetful(Arc<dyn Queue>, &'static str);

#[async_trait]
impl Queue for Forgetful {
    async fn hide(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        span: std::time::Duration,
    ) -> Result<(), Fault> {
        self.0.hide(queue_url, receipt_handle, span).await
    }
    async fn park(&self, url: &str, letter: &Letter) -> Result<(), Fault> {
        if letter.consumer.contains(self.1) {
            return Ok(());
        }
        self.0.park(url, letter).await
    }
}

/// How many runs a fault may need until it shows.
const RUNS: u64 = 24;

/// Runs until a check fails, and returns the finding. The same runs without the damage find nothing:
/// `a_storm_leaves_nothing_behind` makes them.
fn found(arrange: impl Fn(Builder) -> Builder) -> Option<String> {
    (0..RUNS).find_map(|seed| run(seed, Faults::STORM, &orders_of(seed, 60), &arrange).err())
}

fn damaged(damage: Damage) -> Option<String> {
    found(move |builder| builder.wrap_store(move |inner| Arc::new(Damaged::new(inner, damage))))
}

#[test]
fn a_missing_mark_is_found() {
    let finding = damaged(Damage::Marks).expect("found");
    assert!(finding.contains("cloud-treasury did"), "{finding}");
}

#[test]
fn a_mark_written_beside_its_transaction_is_found() {
    // Runs differ in what shows first. Some of them show that something was done twice.
    let twice = |wrong: &String| wrong.contains("did") || wrong.contains("the responses name");
    let damage = |builder: Builder| {
        builder.wrap_store(|inner| Arc::new(Damaged::new(inner, Damage::MarksAfter)))
    };
    let mut runs =
        (0..RUNS).filter_map(|seed| run(seed, Faults::STORM, &orders_of(seed, 60), damage).err());
    assert!(runs.any(|wrong| twice(&wrong)));
}

#[test]
fn deciding_again_before_a_lost_answer_is_settled_is_found() {
    let finding = damaged(Damage::Settling).expect("found");
    assert!(finding.contains("the responses name"), "{finding}");
}

#[test]
fn missing_conditions_on_versions_and_sequences_are_found() {
    let finding = damaged(Damage::Conditions).expect("found");
    assert!(finding.contains("the responses name"), "{finding}");
}

#[test]
fn missing_conditions_on_payments_and_settlements_are_found_by_their_witness() {
    let damage = |builder: Builder| {
        builder.wrap_store(|inner| Arc::new(Damaged::new(inner, Damage::Conditions)))
    };
    let orders = |seed| drawn(seed, settlement_orders(60));
    let calm = |seed| run(seed, Faults::STORM, &orders(seed), |builder| builder).err();
    assert_eq!((0..RUNS).find_map(calm), None);
    let wrong: Vec<String> = (0..RUNS)
        .filter_map(|seed| run(seed, Faults::STORM, &orders(seed), damage).err())
        .collect();
    let found = |words: &[&str]| {
        let one = |wrong: &String| words.iter().any(|words| wrong.contains(words));
        assert!(wrong.iter().any(one), "{words:?}: {wrong:?}");
    };
    found(&["its events rebuild"]);
    // Two that count on the same money: too much is settled, or the payment counts only one of them.
    found(&["were captured and", "in its settlements, which have"]);
}

#[test]
fn missing_conditions_on_loans_are_found_by_what_was_lent_and_by_their_plans() {
    let damage = |builder: Builder| {
        builder.wrap_store(|inner| Arc::new(Damaged::new(inner, Damage::Conditions)))
    };
    let orders = |seed| drawn(seed, loan_orders(60));
    let calm = |seed| run(seed, Faults::STORM, &orders(seed), |builder| builder).err();
    assert_eq!((0..RUNS).find_map(calm), None);
    let wrong: Vec<String> = (0..RUNS)
        .filter_map(|seed| run(seed, Faults::STORM, &orders(seed), damage).err())
        .collect();
    for words in [
        "its open principal does not follow from the principal before it",
        "states other sums than the plan that follows from the loan's history",
    ] {
        assert!(
            wrong.iter().any(|one| one.contains(words)),
            "{words}: {wrong:?}"
        );
    }
}

#[test]
fn missing_conditions_on_the_feed_are_found() {
    let finding = damaged(Damage::FeedConditions).expect("found");
    assert!(finding.contains("feed"), "{finding}");
}

#[test]
fn a_missing_guard_is_found() {
    let finding = damaged(Damage::Guards).expect("found");
    assert!(
        finding.contains("contact of") || finding.contains("times"),
        "{finding}"
    );
}

#[test]
fn a_relay_that_acknowledges_a_failed_entry_is_found() {
    let finding =
        found(|builder| builder.wrap_publisher(|bus, _| Arc::new(Careless(bus)))).expect("found");
    assert!(finding.contains("the bus never took it"), "{finding}");
}

#[test]
fn an_event_recorded_as_published_before_it_is_published_is_found() {
    let finding =
        found(|builder| builder.wrap_publisher(|bus, store| Arc::new(Hasty { bus, store })))
            .expect("found");
    assert!(finding.contains("the bus never took it"), "{finding}");
}

#[test]
fn a_letter_that_was_never_sent_is_found() {
    let finding =
        found(|builder| builder.wrap_queue(|queue| Arc::new(Forgetful(queue, "")))).expect("found");
    assert!(finding.contains("nor has its dead letter"), "{finding}");
}

#[test]
fn an_advance_without_its_condition_is_found() {
    let damage = |builder: Builder| {
        builder.wrap_store(|inner| Arc::new(Damaged::new(inner, Damage::CursorConditions)))
    };
    let mut runs =
        (0..RUNS).filter_map(|seed| run(seed, Faults::STORM, &orders_of(seed, 60), damage).err());
    assert!(runs.any(|wrong| wrong.contains("the ledger did")));
}

#[test]
fn a_block_that_was_never_set_is_found() {
    let finding = damaged(Damage::Blocks).expect("found");
    assert!(finding.contains("is not blocked by it"), "{finding}");
}

#[test]
fn a_gap_that_is_believed_at_sight_is_found() {
    // A page must be read exactly while two events of one account are logged, so a client makes its calls one after the
    // other.
    let faults = Faults {
        reordering: 0.5,
        conflicts: 0.2,
        ..Faults::NONE
    };
    let mint = Command::Mint {
        member: None,
        amount: 1,
        charge: None,
    };
    let run = |damage: Option<Damage>| {
        (0..RUNS).find_map(|seed| {
            let arrange = |builder: Builder| match damage {
                Some(damage) => {
                    builder.wrap_store(move |inner| Arc::new(Damaged::new(inner, damage)))
                }
                None => builder,
            };
            let mut world = World::new(seed, faults, arrange);
            world.hand_in_in_turn(&vec![mint.clone(); 60]);
            let mut wrong: Vec<String> = world.settle().err().into_iter().collect();
            wrong.extend(world.judge());
            (!wrong.is_empty()).then(|| wrong.join("; "))
        })
    };
    assert_eq!(run(None), None);
    let finding = run(Some(Damage::Gaps)).expect("found");
    // Depends on which in-order consumer met it first.
    let by_order = ["the ledger of", "the feed has"];
    assert!(
        by_order.iter().any(|one| finding.contains(one)),
        "{finding}"
    );
}

/// The later events are acknowledged, and no consumer ever continues with them.
#[test]
fn an_aggregate_that_waits_for_a_letter_nobody_has_is_found() {
    let finding = found(|builder| builder.wrap_queue(|queue| Arc::new(Forgetful(queue, "ledger"))))
        .expect("found");
    assert!(
        finding.contains("ledger neither handled") && finding.contains("blocked by"),
        "{finding}"
    );
}
