//! What can go wrong in a flow, and the ports that make it go wrong.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use consumer::{Letter, Queue};
use events::Timestamp;
use outbox::{
    BusEntry, Clock, CommitError, EntryFault, Fault, FaultKind, Guarded, GuardedPut, Item, Key,
    Page, Prepared, Publisher, Query, Reason, Scan, SortKey, Store, Table,
};
use rand::{Rng, SeedableRng, rngs::StdRng};

use super::{crowd::yield_once, lane::Lanes};
use crate::TestClock;

/// The probability of each fault wherever it can happen, from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Faults {
    /// The bus delivers an entry twice; a handled message is delivered again; the stream shows a batch again that was
    /// relayed.
    pub duplicates: f64,
    /// A younger message overtakes an older one.
    pub reordering: f64,
    /// A call's answer is lost: the effect happened, did not happen, or (a commit) happens later.
    pub lost_answers: f64,
    /// A process dies between two steps. The probability is *per step*: 0.01 already ends about every third invocation.
    /// Everything that the process held in memory is lost.
    pub crashes: f64,
    /// A call is rejected without effect.
    pub throttles: f64,
    /// A commit is cancelled because another transaction holds an item. Also, a page of numbered rows is read while
    /// another transaction is half-way, so the page shows a later row without an earlier one.
    pub conflicts: f64,
    /// The bus takes only a part of a call's entries. The probability is per entry.
    pub partial_publish: f64,
    /// A call hangs until its caller gives up.
    pub stalls: f64,
}

impl Faults {
    /// Nothing goes wrong. The seed still decides the order of steps.
    pub const NONE: Self = Self::all(0.0);

    /// A bad day: every fault, each often enough to appear in a run of a few dozen events.
    pub const STORM: Self = Self {
        duplicates: 0.15,
        reordering: 0.5,
        lost_answers: 0.05,
        crashes: 0.01,
        throttles: 0.05,
        conflicts: 0.05,
        partial_publish: 0.1,
        stalls: 0.005,
    };

    /// Every fault with the same probability.
    #[must_use]
    pub const fn all(probability: f64) -> Self {
        Self {
            duplicates: probability,
            reordering: probability,
            lost_answers: probability,
            crashes: probability,
            throttles: probability,
            conflicts: probability,
            partial_publish: probability,
            stalls: probability,
        }
    }
}

/// The most steps that pass while a page is read.
const TORN_STEPS: usize = 30;

/// How far a stall advances the clock: longer than the time limit of any record.
const STALL: Duration = Duration::from_secs(60);

/// What all parts of a flow share: time, randomness and faults.
pub(crate) struct World {
    pub(crate) clock: Arc<TestClock>,
    chance: Mutex<StdRng>,
    faults: Mutex<Faults>,
    late: Mutex<Vec<Prepared>>,
}

impl World {
    pub(crate) fn new(seed: u64, faults: Faults) -> Self {
        Self {
            clock: Arc::new(TestClock::new(seed)),
            chance: Mutex::new(StdRng::seed_from_u64(seed)),
            faults: Mutex::new(faults),
            late: Mutex::new(Vec::new()),
        }
    }

    pub(crate) fn faults(&self) -> Faults {
        *locked(&self.faults)
    }

    pub(crate) fn set_faults(&self, faults: Faults) {
        *locked(&self.faults) = faults;
    }

    /// Whether a fault happens this time.
    pub(crate) fn strikes(&self, kind: fn(&Faults) -> f64) -> bool {
        let probability = kind(&self.faults()).clamp(0.0, 1.0);
        locked(&self.chance).random_bool(probability)
    }

    /// A number below `bound`, which must not be 0.
    pub(crate) fn below(&self, bound: usize) -> usize {
        locked(&self.chance).random_range(0..bound)
    }

    /// A step: other tasks may run, the process may die, or the call may hang.
    pub(crate) async fn step(&self) {
        yield_once().await;
        if self.strikes(|faults| faults.stalls) {
            self.clock.advance(STALL);
            tokio::time::sleep(STALL).await;
        }
    }

    pub(crate) fn has_late_commits(&self) -> bool {
        !locked(&self.late).is_empty()
    }

    pub(crate) fn take_late_commit(&self) -> Option<Prepared> {
        let count = locked(&self.late).len();
        (count > 0).then(|| {
            let at = self.below(count);
            locked(&self.late).swap_remove(at)
        })
    }

    /// An effect outside the store, behind a call that can fail.
    pub(crate) async fn call<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce() -> T,
    ) -> Result<T, Fault> {
        self.step().await;
        if self.strikes(|faults| faults.throttles) {
            return Err(unavailable(operation, THROTTLED));
        }
        let lost = self.strikes(|faults| faults.lost_answers);
        if lost && self.below(2) == 0 {
            return Err(unavailable(operation, LOST));
        }
        let answer = effect();
        self.step().await;
        if lost {
            Err(unavailable(operation, LOST))
        } else {
            Ok(answer)
        }
    }
}

const THROTTLED: &str = "throttled";
const LOST: &str = "the answer was lost";

pub(crate) fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // After a panic with the lock held, the test is over; what it left behind may still be read.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn unavailable(operation: &'static str, why: &'static str) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, why)
}

fn same_row(one: &Item, other: &Item) -> bool {
    ["aggregate", "sequence"]
        .iter()
        .all(|name| one.get(*name) == other.get(*name))
}

/// The store with faults.
pub(crate) struct FaultyStore {
    pub(crate) inner: Arc<dyn Store>,
    pub(crate) world: Arc<World>,
}

impl FaultyStore {
    async fn before_read(&self, operation: &'static str) -> Result<(), Fault> {
        self.world.step().await;
        if self.world.strikes(|faults| faults.throttles) {
            return Err(unavailable(operation, THROTTLED));
        }
        if self.world.strikes(|faults| faults.lost_answers) {
            return Err(unavailable(operation, LOST));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for FaultyStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.before_read("flow get").await?;
        let answer = self.inner.get(key).await;
        self.world.step().await;
        answer
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.before_read("flow get many").await?;
        let answer = self.inner.get_many(keys).await;
        self.world.step().await;
        answer
    }

    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.before_read("flow query").await?;
        let numbered = matches!(query.from, Some(SortKey::Number(_)));
        let first = self.inner.query(query).await?;
        if !numbered || !self.world.strikes(|faults| faults.conflicts) {
            self.world.step().await;
            return Ok(first);
        }
        // A page is not a snapshot: its first rows are from now, the others from a moment earlier.
        for _ in 0..1 + self.world.below(TORN_STEPS) {
            yield_once().await;
        }
        let mut page = self.inner.query(query).await?;
        let from_now = self.world.below(page.items.len() + 1);
        let mut place = 0;
        page.items.retain(|item| {
            place += 1;
            place > from_now || first.items.iter().any(|other| same_row(other, item))
        });
        self.world.step().await;
        Ok(page)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.before_read("flow scan").await?;
        let answer = self.inner.scan(scan).await;
        self.world.step().await;
        answer
    }

    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        const OPERATION: &str = "flow commit";
        self.world.step().await;
        if self.world.strikes(|faults| faults.throttles) {
            return Err(CommitError::NotWritten(unavailable(OPERATION, THROTTLED)));
        }
        if self.world.strikes(|faults| faults.conflicts) {
            let mut reasons = vec![Reason::None; prepared.writes.len()];
            let at = self.world.below(reasons.len().max(1));
            if let Some(reason) = reasons.get_mut(at) {
                *reason = Reason::Conflict;
            }
            return Err(CommitError::Cancelled(reasons));
        }
        if self.world.strikes(|faults| faults.lost_answers) {
            match self.world.below(3) {
                0 => {}
                1 => locked(&self.world.late).push(prepared.clone()),
                _ => {
                    // The commit was written or cancelled; the caller does not learn which.
                    self.inner.commit(prepared).await.ok();
                    self.world.step().await;
                }
            }
            return Err(CommitError::Unknown(unavailable(OPERATION, LOST)));
        }
        let answer = self.inner.commit(prepared).await;
        self.world.step().await;
        answer
    }

    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        const OPERATION: &str = "flow guarded put";
        self.world.step().await;
        if self.world.strikes(|faults| faults.throttles) {
            return Err(unavailable(OPERATION, THROTTLED));
        }
        let lost = self.world.strikes(|faults| faults.lost_answers);
        if lost && self.world.below(2) == 0 {
            return Err(unavailable(OPERATION, LOST));
        }
        let answer = self.inner.put_guarded(put).await;
        self.world.step().await;
        if lost {
            Err(unavailable(OPERATION, LOST))
        } else {
            answer
        }
    }

    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        const OPERATION: &str = "flow put all";
        self.world.step().await;
        let struck = self.world.strikes(|faults| faults.throttles)
            || self.world.strikes(|faults| faults.lost_answers);
        let put = if struck {
            self.world.below(items.len() + 1)
        } else {
            items.len()
        };
        for item in items.iter().take(put) {
            self.inner
                .put_all(table, std::slice::from_ref(item))
                .await?;
            self.world.step().await;
        }
        if struck {
            Err(unavailable(OPERATION, "only a part was put"))
        } else {
            Ok(())
        }
    }
}

/// The bus with faults.
pub(crate) struct FaultyPublisher {
    pub(crate) inner: Arc<dyn Publisher>,
    pub(crate) world: Arc<World>,
}

#[async_trait]
impl Publisher for FaultyPublisher {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        const OPERATION: &str = "flow publish";
        self.world.step().await;
        if self.world.strikes(|faults| faults.throttles) {
            return Err(unavailable(OPERATION, THROTTLED));
        }
        let lost = self.world.strikes(|faults| faults.lost_answers);
        if lost && self.world.below(2) == 0 {
            return Err(unavailable(OPERATION, LOST));
        }
        let mut answers = Vec::with_capacity(entries.len());
        for entry in entries {
            if self.world.strikes(|faults| faults.partial_publish) {
                answers.push(Err(EntryFault {
                    code: "ThrottlingException".into(),
                    message: "this entry was rejected".into(),
                    permanent: false,
                }));
            } else {
                answers.extend(self.inner.publish(std::slice::from_ref(entry)).await?);
            }
        }
        self.world.step().await;
        if lost {
            Err(unavailable(OPERATION, LOST))
        } else {
            Ok(answers)
        }
    }
}

/// The lanes as the consumer runtime sees them, with faults.
pub(crate) struct FlowQueue {
    pub(crate) lanes: Arc<Mutex<Lanes>>,
    pub(crate) world: Arc<World>,
}

#[async_trait]
impl Queue for FlowQueue {
    async fn hide(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        span: Duration,
    ) -> Result<(), Fault> {
        let until: Timestamp = self.world.clock.now().plus(span);
        self.world
            .call("flow hide", || {
                locked(&self.lanes).hide(queue_url, receipt_handle, until);
            })
            .await
    }

    async fn park(&self, dead_letter_queue_url: &str, letter: &Letter) -> Result<(), Fault> {
        self.world
            .call("flow park", || {
                locked(&self.lanes).park(dead_letter_queue_url, letter.clone());
            })
            .await
    }
}
