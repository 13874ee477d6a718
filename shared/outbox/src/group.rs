//! Group commit: transactions that are decided at the same time and touch different items go to the store in one call.
//!
//! A group is all or nothing, its members are not: a member gets the answer that it would have got alone. Nothing of a
//! decision changes. What keeps it safe is what keeps a single commit safe:
//!
//! | the group's call | a member's answer |
//! |---|---|
//! | succeeded | committed |
//! | cancelled | those that its reasons blame: cancelled, with their own reasons; the others are sent again without them |
//! | answer lost | lost: [`crate::Outbox::execute`] sends the member's own bytes again, by themselves and with its own token; if the group took effect, or still does later, the mark's condition tells the two apart |
//! | not written, unavailable | not written: the member decides when to try again |
//! | not written, refused or denied | one by one: one member must not stop its neighbours |
//! | ended with the member that made it (time limit, crash) | lost |
//!
//! What is sent again after a lost answer, of a group or of the member alone, goes alone and under its own token.

use std::{
    collections::HashSet,
    mem,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use futures::{
    channel::oneshot,
    future::{Either, join_all, select},
};
use tokio::sync::Notify;

use crate::{
    Clock, CommitError, Fault, FaultKind, Guarded, GuardedPut, Item, Key, MAX_TRANSACTION_ITEMS,
    Page, Prepared, Query, Reason, Scan, Store, Table, chain,
};

/// How long a decided transaction waits for neighbours that are still deciding. About what a commit takes: whoever is
/// later would make the others wait longer than its own call costs.
pub const LINGER: Duration = Duration::from_millis(5);

type Answer = Result<(), CommitError>;

/// A [`Store`] that commits together what its [`Member`]s decide at the same time. Everything else goes straight through.
pub struct GroupStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    gathering: Mutex<Gathering>,
    changed: Notify,
}

#[derive(Default)]
struct Gathering {
    /// Members that decide or wait.
    members: usize,
    waiting: Vec<Waiting>,
    /// Tokens whose answer was lost: from then on they go alone.
    alone: HashSet<String>,
}

struct Waiting {
    prepared: Prepared,
    answer: oneshot::Sender<Answer>,
}

/// Somebody whose next commit the others wait for, until it is dropped.
#[derive(Debug)]
#[must_use = "dropped, nobody waits for it"]
pub struct Member<'a>(&'a GroupStore);

impl Drop for Member<'_> {
    fn drop(&mut self) {
        self.0.gathering().members -= 1;
        self.0.changed.notify_waiters();
    }
}

impl GroupStore {
    /// Over a store, for the records of one batch.
    pub fn new(inner: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self {
            inner,
            clock,
            gathering: Mutex::default(),
            changed: Notify::new(),
        }
    }

    /// Joins: the others' commits wait a moment for this one's.
    pub fn join(&self) -> Member<'_> {
        self.gathering().members += 1;
        Member(self)
    }

    fn gathering(&self) -> MutexGuard<'_, Gathering> {
        self.gathering
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Everybody who waits, once nobody is left to wait for.
    fn everybody(&self) -> Option<Vec<Waiting>> {
        let complete = {
            let gathering = self.gathering();
            !gathering.waiting.is_empty() && gathering.waiting.len() >= gathering.members
        };
        complete.then(|| self.whoever_waits())
    }

    /// Those who wait. Whoever gave up meanwhile, and may have been told that nothing was written, is left out.
    fn whoever_waits(&self) -> Vec<Waiting> {
        let mut waiting = mem::take(&mut self.gathering().waiting);
        waiting.retain(|one| !one.answer.is_canceled());
        waiting
    }

    /// Commits all of them and answers each. One group after the other: what was put apart shares items, and at the same
    /// time they would only cancel each other.
    async fn lead(&self, waiting: Vec<Waiting>) {
        for group in pack(waiting) {
            self.send(group).await;
        }
    }

    async fn send(&self, mut group: Vec<Waiting>) {
        // Twice together: a batch with copies of handled events finds them out in the first call. After that, alone.
        for _ in 0..2 {
            if group.len() < 2 {
                break;
            }
            group = match self.inner.commit(&self.merged(&group)).await {
                Ok(()) => return answer_all(group, || Ok(())),
                Err(CommitError::Cancelled(reasons)) => match blame(group, &reasons) {
                    Ok(innocent) => innocent,
                    Err(all) => {
                        group = all;
                        break;
                    }
                },
                Err(CommitError::Unknown(fault)) => {
                    let tokens = group.iter().map(|one| one.prepared.token.clone());
                    self.gathering().alone.extend(tokens);
                    return answer_all(group, || Err(CommitError::Unknown(told_again(&fault))));
                }
                Err(CommitError::NotWritten(fault)) if fault.kind == FaultKind::Unavailable => {
                    return answer_all(group, || Err(CommitError::NotWritten(told_again(&fault))));
                }
                Err(CommitError::NotWritten(fault)) => {
                    tracing::debug!(error = %chain(&fault), "a group was refused, its members go one by one");
                    break;
                }
            };
        }
        join_all(group.into_iter().map(|one| async move {
            let answer = self.inner.commit(&one.prepared).await;
            if matches!(answer, Err(CommitError::Unknown(_))) {
                let token = one.prepared.token.clone();
                self.gathering().alone.insert(token);
            }
            // Whoever gave up waiting (its time limit) finds its own commit by its mark.
            one.answer.send(answer).ok();
        }))
        .await;
    }

    /// All members' writes under a token of their own: this very content is never sent again.
    fn merged(&self, group: &[Waiting]) -> Prepared {
        let writes = group.iter().flat_map(|one| one.prepared.writes.iter());
        Prepared {
            token: self.clock.uuid().to_string(),
            writes: writes.cloned().collect(),
        }
    }
}

/// First fit, in the order of arrival: what touches the same item, or is too much for one transaction, goes into another.
fn pack(waiting: Vec<Waiting>) -> Vec<Vec<Waiting>> {
    let mut groups: Vec<(HashSet<Key>, Vec<Waiting>)> = Vec::new();
    for one in waiting {
        let writes = &one.prepared.writes;
        let fits = groups.iter_mut().find(|(keys, _)| {
            keys.len() + writes.len() <= MAX_TRANSACTION_ITEMS
                && writes.iter().all(|write| !keys.contains(write.key()))
        });
        let keys = writes.iter().map(|write| write.key().clone());
        match fits {
            Some((taken, group)) => {
                taken.extend(keys);
                group.push(one);
            }
            None => groups.push((keys.collect(), vec![one])),
        }
    }
    groups.into_iter().map(|(_, group)| group).collect()
}

/// Answers those whom the reasons blame, each with its own; the others come back.
///
/// Where everybody is blamed nobody is answered and all come back as an error: a store that cannot say whose fault it
/// was blames all.
fn blame(group: Vec<Waiting>, reasons: &[Reason]) -> Result<Vec<Waiting>, Vec<Waiting>> {
    let blamed = |own: &[Reason]| own.iter().any(|reason| *reason != Reason::None);
    let mut rest = reasons;
    let shares: Vec<&[Reason]> = group
        .iter()
        .map(|one| {
            let (own, others) = rest.split_at(one.prepared.writes.len().min(rest.len()));
            rest = others;
            own
        })
        .collect();
    if shares.iter().all(|own| blamed(own)) {
        return Err(group);
    }
    let mut innocent = Vec::with_capacity(group.len());
    for (one, own) in group.into_iter().zip(shares) {
        if blamed(own) {
            one.answer
                .send(Err(CommitError::Cancelled(own.to_vec())))
                .ok();
        } else {
            innocent.push(one);
        }
    }
    Ok(innocent)
}

fn answer_all(group: Vec<Waiting>, answer: impl Fn() -> Answer) {
    for one in group {
        one.answer.send(answer()).ok();
    }
}

/// One fault, told to several.
fn told_again(fault: &Fault) -> Fault {
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
            return self.inner.commit(prepared).await;
        }
        let (answer, mut receiver) = oneshot::channel();
        let waiting = Waiting {
            prepared: prepared.clone(),
            answer,
        };
        self.gathering().waiting.push(waiting);
        // The others of the batch have their turn first.
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
                // Long enough: who is there goes.
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
                "whoever led the group ended before its answer",
            )))
        })
    }

    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
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
