//! Group commit: transactions that are decided at the same time and touch different items go to the store in one call.
//!
//! A group commit only saves calls and time; it changes nothing about a decision. The group is written as a whole or
//! not at all, but each member gets the answer that it would have got alone. Correctness rests on marks and tokens, as
//! for a single commit:
//!
//! | the group's call | a member's answer |
//! |---|---|
//! | succeeded | committed |
//! | cancelled | cancelled, with its own reasons, if the reasons blame it; otherwise the member is sent again |
//! | cancelled because another writer moved a series' head | the head is read again, and the members get later numbers |
//! | answer lost, or not written because the store is unavailable | the group's bytes are sent again under the same token |
//! | answer still lost after that | lost: [`crate::Outbox::execute`] sends the member's own bytes again, alone and under the member's own token. If the group took effect, or still takes effect later, the mark's condition shows it |
//! | still unavailable after that | not written: the member decides when to retry |
//! | not written, rejected or denied | the members are sent one by one, so that one member cannot stop the others |
//! | cut off together with the member that made the call (time limit, crash) | lost |
//!
//! Members that number rows in one series ([`crate::Series`]) share its head: it is read once for all that decide at the
//! same time, and the group gives them consecutive numbers and moves the head once, over all of them.

use std::{
    collections::{HashMap, HashSet},
    mem,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    channel::oneshot,
    future::{Either, join_all, select},
};
use tokio::sync::Notify;
use uuid::Uuid;

use crate::{
    BuildError, Clock, CommitError, Error, Fault, FaultKind, Guarded, GuardedPut, Item, Key,
    MAX_TRANSACTION_ITEMS, Page, Prepared, Query, Reason, Scan, Series, Store, Table, Write, chain,
    execute::FULL_JITTER,
    sending::{Evidence, Sendings, send_until_known},
};

/// How long a decided transaction waits for other members that are still deciding: about as long as a commit takes. A
/// longer wait for a late member would cost the others more than the call that it saves.
pub const LINGER: Duration = Duration::from_millis(5);

/// How often a group whose series was moved by another writer is numbered again. After that its members decide again, one
/// by one, which takes many times as long: a few writers of one series must get through before.
const RENUMBERINGS: usize = 16;

/// For how long a group is numbered again: half the time that a record may take.
const RENUMBERING_PATIENCE: Duration = Duration::from_millis(2_500);

/// The shortest pause before a group is numbered again, before the jitter. Where calls are slow, the pause is as long as the one
/// that was outrun took: writers that come back at once only outrun one another.
const RENUMBERING_PAUSE: Duration = Duration::from_millis(10);

/// How the bytes of a group are sent until an answer comes.
const SENDINGS: Sendings = Sendings {
    resends: 1,
    base: Duration::from_millis(20),
    cap: Duration::from_millis(640),
};

type Answer = Result<(), CommitError>;

/// A [`Store`] that commits together what its [`Member`]s decide at the same time. All other calls go straight to the
/// inner store.
pub struct GroupStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    gathering: Mutex<Gathering>,
    changed: Notify,
    heads: tokio::sync::Mutex<Heads>,
    /// How often a head could not be read.
    heads_failed: AtomicU64,
}

/// The heads of series that were read since the last commit.
#[derive(Default)]
struct Heads {
    read: HashMap<Key, Option<Item>>,
    /// Why a head could not be read the last time that one could not.
    fault: Option<Fault>,
}

#[derive(Default)]
struct Gathering {
    /// The number of members that decide or wait.
    members: usize,
    waiting: Vec<WaitingCommit>,
    /// Tokens of transactions whose answer was lost. These transactions are sent alone from then on.
    alone: HashSet<String>,
}

struct WaitingCommit {
    prepared: Prepared,
    answer: oneshot::Sender<Answer>,
}

/// Membership in a group. Until it is dropped, the commits of the other members wait for this member's next commit.
#[derive(Debug)]
#[must_use = "once it is dropped, the other members do not wait for it"]
pub struct Member<'a>(&'a GroupStore);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.gathering().members -= 1;
        self.0.changed.notify_waiters();
    }
}

impl GroupStore {
    /// A group over a store, for the records of one batch.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            gathering: Mutex::default(),
            changed: Notify::new(),
            heads: tokio::sync::Mutex::default(),
            heads_failed: AtomicU64::new(0),
        }
    }

    /// Joins the group: the commits of the other members wait up to [`LINGER`] for this member's commit.
    pub fn join(&self) -> Member<'_> {
        self.gathering().members += 1;
        Member(self)
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes all waiting commits as soon as every member waits; `None` before that.
    fn everybody(&self) -> Option<Vec<WaitingCommit>> {
        let complete = {
            let gathering = self.gathering();
            !gathering.waiting.is_empty() && gathering.waiting.len() >= gathering.members
        };
        complete.then(|| self.whoever_waits())
    }

    /// Takes all waiting commits. A commit whose caller gave up is left out, because that caller can have concluded
    /// that nothing was written.
    fn whoever_waits(&self) -> Vec<WaitingCommit> {
        let mut waiting = mem::take(&mut self.gathering().waiting);
        waiting.retain(|one| !one.answer.is_canceled());
        waiting
    }

    /// Commits the waiting transactions and answers each. The groups go one after the other: they were separated
    /// because they share items, so concurrent calls would only cancel each other.
    async fn lead(&self, waiting: Vec<WaitingCommit>) {
        for group in pack(waiting) {
            self.send(group).await;
        }
    }

    /// After every commit, also one that failed, the heads that were read before it are old.
    async fn forget_heads(&self) {
        self.heads.lock().await.read.clear();
    }

    async fn send(&self, mut group: Vec<WaitingCommit>) {
        let mut heads = heads_as_read(&group);
        let (mut sendings, mut renumberings) = (0, 0);
        let begun = self.clock.now();
        // The group is sent twice at most: if a batch contains copies of handled events, the first call identifies
        // them. After that each member goes alone.
        while group.len() > 1 && sendings < 2 {
            let merged = match Merged::of(&group, &heads, self.clock.uuid()) {
                Ok(merged) => merged,
                Err(error) => {
                    tracing::debug!(error = %chain(&error), "a group commit cannot be numbered; its members are committed one by one");
                    break;
                }
            };
            let sent = self.clock.now();
            let answered = self.until_answered(&merged.prepared).await;
            self.forget_heads().await;
            match answered {
                Ok(()) => return answer_all(group, || Ok(())),
                Err(CommitError::Cancelled(reasons)) => {
                    let cancelled = merged.cancelled(&reasons);
                    if !cancelled.says_whom_to_blame {
                        break;
                    }
                    let is_outrun = cancelled.is_outrun;
                    if cancelled.blamed.contains(&true) {
                        sendings += 1;
                    }
                    let (innocent, shares) = cancelled.answer_the_blamed(group);
                    group = innocent;
                    if is_outrun {
                        renumberings += 1;
                        let now = self.clock.now();
                        let goes_on = group.len() > 1
                            && renumberings <= RENUMBERINGS
                            && now.since(begun) < RENUMBERING_PATIENCE
                            && self.read_again(&mut heads, now.since(sent)).await;
                        if !goes_on {
                            // Each would be cancelled alone, too: it decides again, by the head that it then reads.
                            for (one, own) in group.into_iter().zip(shares) {
                                one.answer.send(Err(CommitError::Cancelled(own))).ok();
                            }
                            return;
                        }
                    }
                }
                Err(CommitError::Unknown(fault)) => {
                    let tokens = group.iter().map(|one| one.prepared.token.clone());
                    self.gathering().alone.extend(tokens);
                    return answer_all(group, || Err(CommitError::Unknown(fault_copy(&fault))));
                }
                Err(CommitError::NotWritten(fault)) if fault.kind == FaultKind::Unavailable => {
                    return answer_all(group, || Err(CommitError::NotWritten(fault_copy(&fault))));
                }
                Err(CommitError::NotWritten(fault)) => {
                    tracing::debug!(error = %chain(&fault), "the store refused a group commit; its members are committed one by one");
                    break;
                }
            }
        }
        join_all(group.into_iter().map(|one| async move {
            let answer = self.inner.commit(&one.prepared).await;
            self.forget_heads().await;
            if matches!(answer, Err(CommitError::Unknown(_))) {
                let token = one.prepared.token.clone();
                self.gathering().alone.insert(token);
            }
            // A caller that gave up waiting (time limit) finds its own commit by its mark.
            one.answer.send(answer).ok();
        }))
        .await;
    }

    /// Sends the bytes of a group, and again under the same token if the answer is lost or the store is unavailable.
    async fn until_answered(&self, prepared: &Prepared) -> Answer {
        let sent =
            send_until_known(&*self.inner, &*self.clock, prepared, SENDINGS, &TheReasons).await;
        match sent {
            Ok(answer) => answer,
            Err(Error::Fault(fault)) => Err(CommitError::NotWritten(fault)),
            Err(Error::Unknown(fault)) => Err(CommitError::Unknown(fault)),
            Err(other) => Err(CommitError::Unknown(Fault::new(
                FaultKind::Unavailable,
                "dynamodb TransactWriteItems",
                chain(&other),
            ))),
        }
    }

    /// Reads the heads of series again, after a pause that grows with the time that the last call took; `false` if one
    /// cannot be read.
    async fn read_again(&self, heads: &mut HashMap<Key, Series>, took: Duration) -> bool {
        let pause = RENUMBERING_PAUSE.max(took).min(SENDINGS.cap);
        self.clock.sleep_jittered(pause, FULL_JITTER).await;
        for (key, series) in heads {
            let item = self.inner.get(key).await.ok();
            match item.and_then(|item| Series::of(key.clone(), item).ok()) {
                Some(read) => *series = read,
                None => return false,
            }
        }
        true
    }
}

/// The evidence of a group that was sent again: the reasons of a cancellation, which its members weigh. If the group had taken
/// effect, each member finds its own mark.
struct TheReasons;

#[async_trait]
impl Evidence for TheReasons {
    type Verdict = Answer;

    fn written(&self) -> Answer {
        Ok(())
    }

    async fn look(&self) -> Result<Option<Answer>, Error> {
        Ok(None)
    }

    async fn cancelled(
        &self,
        reasons: &[Reason],
        _is_answer_lost: bool,
    ) -> Result<Option<Answer>, Error> {
        Ok(Some(Err(CommitError::Cancelled(reasons.to_vec()))))
    }
}

/// The latest reading of each series in which members number rows. A member that read the head earlier gets a later number
/// than it has seen, like all others.
fn heads_as_read(group: &[WaitingCommit]) -> HashMap<Key, Series> {
    let mut heads: HashMap<Key, Series> = HashMap::new();
    for one in group {
        let Some(rows) = &one.prepared.in_series else {
            continue;
        };
        let head = heads
            .entry(rows.series.head().clone())
            .or_insert_with(|| rows.series.clone());
        if rows.series.last() > head.last() {
            *head = rows.series.clone();
        }
    }
    heads
}

/// The writes of all members in one transaction.
struct Merged {
    prepared: Prepared,
    /// For each member, the place in `prepared` of each of its own writes.
    places: Vec<Vec<usize>>,
    /// The places of the heads of series.
    heads: HashMap<Key, usize>,
}

impl Merged {
    /// Merges the writes under a new token, because this combination of writes is never sent again. Rows in a series get
    /// consecutive numbers after the head as read.
    fn of(
        group: &[WaitingCommit],
        series: &HashMap<Key, Series>,
        token: Uuid,
    ) -> Result<Self, BuildError> {
        let mut writes: Vec<Write> = Vec::new();
        let mut heads = HashMap::new();
        let mut numbers: HashMap<&Key, u64> = HashMap::new();
        let mut places = Vec::with_capacity(group.len());
        for one in group {
            let (plain, _) = plain_and_head(&one.prepared);
            let mut own: Vec<usize> = (writes.len()..writes.len() + plain.len()).collect();
            writes.extend(plain.iter().cloned());
            if let Some(rows) = &one.prepared.in_series {
                let key = rows.series.head();
                let read = series.get(key).unwrap_or(&rows.series);
                let number = numbers.entry(key).or_insert_with(|| read.last());
                *number += 1;
                let moved = read.moved_to(*number);
                let head = *heads.entry(key.clone()).or_insert(writes.len());
                match writes.get_mut(head) {
                    Some(write) => *write = moved,
                    None => writes.push(moved),
                }
                own.push(head);
                let numbered = rows.rows(*number)?;
                own.extend(writes.len()..writes.len() + numbered.len());
                writes.extend(numbered);
            }
            places.push(own);
        }
        Ok(Self {
            prepared: Prepared::new(token.to_string(), writes),
            places,
            heads,
        })
    }

    /// What the reasons of a cancellation say.
    fn cancelled(&self, reasons: &[Reason]) -> Cancelled {
        let reason = |place: &usize| reasons.get(*place).cloned().unwrap_or(Reason::None);
        let is_head = |place: &usize| self.heads.values().any(|head| head == place);
        let moved =
            |place: &usize| matches!(reason(place), Reason::ConditionFailed | Reason::Conflict);
        let blames =
            |place: &usize| reason(place) != Reason::None && !(is_head(place) && moved(place));
        let own = self.places.iter();
        let blamed: Vec<bool> = own.map(|own| own.iter().any(blames)).collect();
        let is_outrun = self.heads.values().any(moved);
        let own = self.places.iter();
        Cancelled {
            is_outrun,
            says_whom_to_blame: reasons.contains(&Reason::None)
                && (is_outrun || blamed.contains(&true)),
            shares: own.map(|own| own.iter().map(reason).collect()).collect(),
            blamed,
        }
    }
}

/// What the reasons say for which a group was cancelled.
struct Cancelled {
    /// Whether another writer moved the head of a series, or is moving it. This blames no member.
    is_outrun: bool,
    /// Whether they single anything out. A store that cannot say what caused the cancellation blames everything.
    says_whom_to_blame: bool,
    /// For each member, whether one of its own writes is to blame.
    blamed: Vec<bool>,
    /// The reasons of each member's own writes, with those of the heads that it shares.
    shares: Vec<Vec<Reason>>,
}

impl Cancelled {
    /// Answers the members that are to blame, each with its own reasons. Returns the others with theirs.
    fn answer_the_blamed(
        self,
        group: Vec<WaitingCommit>,
    ) -> (Vec<WaitingCommit>, Vec<Vec<Reason>>) {
        let mut innocent = Vec::with_capacity(group.len());
        for ((one, own), is_blamed) in group.into_iter().zip(self.shares).zip(self.blamed) {
            if is_blamed {
                one.answer.send(Err(CommitError::Cancelled(own))).ok();
            } else {
                innocent.push((one, own));
            }
        }
        innocent.into_iter().unzip()
    }
}

/// A group that is being packed.
#[derive(Default)]
struct Pack {
    /// The items of the group, except rows in a series, whose keys depend on their numbers.
    taken: HashSet<Key>,
    heads: HashSet<Key>,
    writes: usize,
    group: Vec<WaitingCommit>,
}

impl Pack {
    fn takes(&self, one: &Prepared) -> bool {
        let (plain, head) = plain_and_head(one);
        self.writes + one.writes.len() <= MAX_TRANSACTION_ITEMS
            && plain
                .iter()
                .all(|write| !self.taken.contains(write.key()) && !self.heads.contains(write.key()))
            && head.is_none_or(|head| !self.taken.contains(head))
    }

    fn add(&mut self, one: WaitingCommit) {
        let (plain, head) = plain_and_head(&one.prepared);
        self.writes += one.prepared.writes.len();
        self.taken
            .extend(plain.iter().map(|write| write.key().clone()));
        self.heads.extend(head.cloned());
        self.group.push(one);
    }
}

/// The writes that do not depend on a number, and the head of the series that the others are numbered in.
fn plain_and_head(one: &Prepared) -> (&[Write], Option<&Key>) {
    match &one.in_series {
        None => (&one.writes, None),
        Some(rows) => (
            one.writes
                .get(..rows.begins_at)
                .unwrap_or(one.writes.as_slice()),
            Some(rows.series.head()),
        ),
    }
}

/// Packs transactions into groups, first fit in the order of arrival. A transaction that shares an item with a group,
/// or makes it too large for one call, goes into another group. The head of a series is shared without harm by those that
/// number rows in it.
fn pack(waiting: Vec<WaitingCommit>) -> Vec<Vec<WaitingCommit>> {
    let mut packs: Vec<Pack> = Vec::new();
    for one in waiting {
        match packs.iter_mut().find(|pack| pack.takes(&one.prepared)) {
            Some(pack) => pack.add(one),
            None => {
                let mut pack = Pack::default();
                pack.add(one);
                packs.push(pack);
            }
        }
    }
    packs.into_iter().map(|pack| pack.group).collect()
}

fn answer_all(group: Vec<WaitingCommit>, answer: impl Fn() -> Answer) {
    for one in group {
        one.answer.send(answer()).ok();
    }
}

/// A copy of a fault, for another member that it affects.
fn fault_copy(fault: &Fault) -> Fault {
    Fault::new(
        fault.kind,
        fault.operation,
        chain(fault.source.as_ref() as &(dyn std::error::Error + 'static)),
    )
}

#[async_trait]
impl Store for GroupStore {
    async fn commit(&self, prepared: &Prepared) -> Answer {
        if self.gathering().alone.contains(&prepared.token) {
            let answer = self.inner.commit(prepared).await;
            self.forget_heads().await;
            return answer;
        }
        let (answer, mut receiver) = oneshot::channel();
        let waiting = WaitingCommit {
            prepared: prepared.clone(),
            answer,
        };
        self.gathering().waiting.push(waiting);
        // The other records of the batch get their turn first.
        tokio::task::yield_now().await;
        let mut linger = pin!(self.clock.sleep(LINGER));
        let answered = loop {
            let changed = pin!(self.changed.notified());
            if let Some(all) = self.everybody() {
                self.lead(all).await;
            }
            match select(&mut receiver, select(changed, &mut linger)).await {
                Either::Left((answered, _)) => break answered,
                Either::Right((Either::Left(_), _)) => {}
                // The wait is over: the members that have arrived are committed.
                Either::Right((Either::Right(_), _)) => {
                    self.lead(self.whoever_waits()).await;
                    break receiver.await;
                }
            }
        };
        answered.unwrap_or_else(|_| {
            self.gathering().alone.insert(prepared.token.clone());
            Err(CommitError::Unknown(Fault::new(
                FaultKind::Unavailable,
                "dynamodb TransactWriteItems",
                "the member that sent the group commit ended before the answer came",
            )))
        })
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    /// The head as it was read for another member since the last commit. Members that ask meanwhile get the answer of the same
    /// read, also its fault.
    async fn head(&self, key: &Key) -> Result<Option<Item>, Fault> {
        let failed_before = self.heads_failed.load(Ordering::Acquire);
        let mut heads = self.heads.lock().await;
        if let Some(read) = heads.read.get(key) {
            return Ok(read.clone());
        }
        let has_failed = self.heads_failed.load(Ordering::Acquire) > failed_before;
        if let Some(fault) = heads.fault.as_ref().filter(|_| has_failed) {
            return Err(fault_copy(fault));
        }
        match self.inner.get(key).await {
            Ok(read) => {
                heads.read.insert(key.clone(), read.clone());
                Ok(read)
            }
            Err(fault) => {
                heads.fault = Some(fault_copy(&fault));
                self.heads_failed.fetch_add(1, Ordering::Release);
                Err(fault)
            }
        }
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
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

impl std::fmt::Debug for GroupStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GroupStore").finish_non_exhaustive()
    }
}
