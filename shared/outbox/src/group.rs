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
//! | answer lost | lost: [`crate::Outbox::execute`] sends the member's own bytes again, alone and under the member's own token. If the group took effect, or still takes effect later, the mark's condition shows it |
//! | not written, unavailable | not written: the member decides when to retry |
//! | not written, rejected or denied | the members are sent one by one, so that one member cannot stop the others |
//! | cut off together with the member that made the call (time limit, crash) | lost |
//!
//! After a lost answer, of a group or of a single member, the transaction is sent again alone and under its own token.

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

/// How long a decided transaction waits for other members that are still deciding: about as long as a commit takes. A
/// longer wait for a late member would cost the others more than the call that it saves.
pub const LINGER: Duration = Duration::from_millis(5);

type Answer = Result<(), CommitError>;

/// A [`Store`] that commits together what its [`Member`]s decide at the same time. All other calls go straight to the
/// inner store.
pub struct GroupStore {
    inner: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    gathering: Mutex<Gathering>,
    changed: Notify,
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

    async fn send(&self, mut group: Vec<WaitingCommit>) {
        // The group is sent twice at most: if a batch contains copies of handled events, the first call identifies
        // them. After that each member goes alone.
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
                    return answer_all(group, || Err(CommitError::Unknown(fault_copy(&fault))));
                }
                Err(CommitError::NotWritten(fault)) if fault.kind == FaultKind::Unavailable => {
                    return answer_all(group, || Err(CommitError::NotWritten(fault_copy(&fault))));
                }
                Err(CommitError::NotWritten(fault)) => {
                    tracing::debug!(error = %chain(&fault), "the store refused a group commit; its members are committed one by one");
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
            // A caller that gave up waiting (time limit) finds its own commit by its mark.
            one.answer.send(answer).ok();
        }))
        .await;
    }

    /// The writes of all members under a new token, because this combination of writes is never sent again.
    fn merged(&self, group: &[WaitingCommit]) -> Prepared {
        let writes = group.iter().flat_map(|one| one.prepared.writes.iter());
        Prepared {
            token: self.clock.uuid().to_string(),
            writes: writes.cloned().collect(),
        }
    }
}

/// Packs transactions into groups, first fit in the order of arrival. A transaction that shares an item with a group,
/// or makes it too large for one call, goes into another group.
fn pack(waiting: Vec<WaitingCommit>) -> Vec<Vec<WaitingCommit>> {
    let mut groups: Vec<(HashSet<Key>, Vec<WaitingCommit>)> = Vec::new();
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

/// Answers the members that the reasons blame, each with its own reasons, and returns the others.
///
/// If the reasons blame every member, no member is answered and all are returned as an error: a store that cannot say
/// which member caused the cancellation blames all of them.
fn blame(
    group: Vec<WaitingCommit>,
    reasons: &[Reason],
) -> Result<Vec<WaitingCommit>, Vec<WaitingCommit>> {
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
            return self.inner.commit(prepared).await;
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
