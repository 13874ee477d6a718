//! Deciding and committing. After a conflict the decision is made again. If the answer to a commit is lost, its outcome
//! is determined before any other decision.

use std::{
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use events::{Cause, Envelope, Program, Registry};
use serde::de::DeserializeOwned;

use crate::{
    BuildError, Clock, Done, Entity, Error, Guarded, GuardedPut, Item, Key, Mark, Numbered,
    Prepared, Query, Reason, State, Store, Table, Transaction, decode_item,
    group::GroupStore,
    in_order,
    sending::{Evidence, Sendings, send_until_known},
    tables::OutboxTables,
};

/// Jitter in percent of a pause: from zero to twice the pause, so that callers that lost one race do not start the next
/// one together.
pub(crate) const FULL_JITTER: u64 = 100;
/// Jitter in percent of a pause: half the pause to both sides. It is enough because consumers are few, and a lane's own
/// delays spread them further.
const HALF_JITTER: u64 = 50;

/// The result of a decision.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "created once per attempt and matched at once; a box would only make its users write more"
)]
pub enum Decision<T, R> {
    /// Commit this transaction. After the commit the caller gets the value.
    Commit(Transaction, T),
    /// The rules forbid the change; nothing is written.
    Refuse(R),
}

/// The outcome of a command or an event.
#[derive(Debug)]
pub enum Outcome<T, R> {
    /// Committed by this call.
    Committed {
        /// The value that the decision returned.
        value: T,
        /// The events that the transaction logged.
        events: Vec<Envelope>,
    },
    /// Committed before: by an earlier call, by a copy of the event, or by an earlier commit of ours whose answer was
    /// lost.
    AlreadyDone(Done),
    /// Refused by the rules, and not done before.
    Refused(R),
    /// Other writers kept changing the same state; nothing was written. A retry with the same mark is safe. For the
    /// advance of a cursor, the cursor must be read again first.
    Contention,
}

/// How often, and with which pauses, one call decides and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Decisions per call, including the first; at least 1.
    pub decisions: u32,
    /// How long after the start of the first decision a pause before another decision can still begin.
    pub patience: Duration,
    /// How often the same bytes are sent again when the answer was lost.
    pub resends: u32,
    /// The first pause; it doubles with each attempt.
    pub base: Duration,
    /// The longest pause, and the longest duration that counts for a decision; both before the jitter.
    pub cap: Duration,
    /// The pause before the next decision is at least this many times the duration of the last one. 0 ignores the
    /// duration.
    pub after_slow: u32,
    /// How far a pause deviates from its length, in percent: 0 to 100.
    pub jitter: u64,
}

impl Default for RetryLimits {
    /// For messages of a queue. The queue delivers few at a time, and delivers again what was not done.
    fn default() -> Self {
        Self {
            decisions: 6,
            // The record's own time limit ends the call.
            patience: Duration::MAX,
            resends: 3,
            base: Duration::from_millis(20),
            cap: Duration::from_millis(640),
            after_slow: 0,
            jitter: HALF_JITTER,
        }
    }
}

impl RetryLimits {
    /// For callers that wait for the answer. Their number at one time is not limited.
    ///
    /// Writers contending for one item slow each other down, and a slow writer is the most likely to find the item
    /// changed. A long decision is the sign of contention. The pause therefore grows with the length of the last
    /// decision, so that few writers try at the same time and those succeed.
    #[must_use]
    pub fn for_callers() -> Self {
        Self {
            decisions: 10,
            patience: Duration::from_secs(2),
            cap: Duration::from_millis(2_560),
            after_slow: 2,
            jitter: FULL_JITTER,
            ..Self::default()
        }
    }

    /// The pause before attempt number `attempt`, after a decision that took `took`. The first repeat is attempt 1.
    fn pause(&self, attempt: u32, took: Duration) -> Duration {
        self.base
            .saturating_mul(1 << attempt.min(16).saturating_sub(1))
            .min(self.cap)
            .max(took.min(self.cap).saturating_mul(self.after_slow))
    }
}

/// Creates and commits transactions. It holds the store, the tables of the event log and the marks, and the contracts.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    tables: OutboxTables,
    program: Arc<Program>,
    limits: RetryLimits,
}

/// The outcome of a commit whose bytes need not be sent again.
enum CommitVerdict {
    Committed,
    AlreadyDone(Done),
    Conflict,
    /// The cursor is not what the decision read. Deciding again on the same read cannot help.
    Stale,
}

impl Outbox {
    /// An outbox over a store.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        events: Table,
        marks: Table,
    ) -> Self {
        Self::on(store, clock, registry, Some(events), Some(marks))
    }

    /// An outbox without an event log, for a function that neither emits nor reads events. A transaction with an event
    /// is refused when it is built ([`BuildError::NoLog`]).
    pub fn without_log(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        marks: Table,
    ) -> Self {
        Self::on(store, clock, registry, None, Some(marks))
    }

    /// An outbox for a function that only makes guarded writes ([`Self::put_guarded`]). It has neither event log nor
    /// marks.
    pub fn for_guards(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
    ) -> Self {
        Self::on(store, clock, registry, None, None)
    }

    fn on(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        events: Option<Table>,
        marks: Option<Table>,
    ) -> Self {
        Self {
            store,
            clock,
            registry,
            tables: OutboxTables { events, marks },
            program: Arc::default(),
            limits: RetryLimits::default(),
        }
    }

    /// The same outbox with other limits than the default.
    #[must_use]
    pub fn with_limits(mut self, limits: RetryLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The same outbox for a program. Its events name this program as their origin.
    #[must_use]
    pub fn with_program(mut self, program: Program) -> Self {
        self.program = Arc::new(program);
        self
    }

    /// The limits of its retries.
    #[must_use]
    pub fn limits(&self) -> RetryLimits {
        self.limits
    }

    /// The same outbox over another store.
    #[must_use]
    pub fn with_store(&self, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            ..self.clone()
        }
    }

    /// The same outbox with group commit: transactions that the [`crate::group::Member`]s of the returned store decide
    /// at the same time are committed together.
    #[must_use]
    pub fn grouped(&self) -> (Self, Arc<GroupStore>) {
        let group = Arc::new(GroupStore::new(
            Arc::clone(&self.store),
            Arc::clone(&self.clock),
        ));
        (self.with_store(Arc::clone(&group) as Arc<dyn Store>), group)
    }

    /// The store, for reads.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.store
    }

    /// The store, for a part that keeps it.
    #[must_use]
    pub fn shared_store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The registry of contracts.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The event log's table.
    ///
    /// # Errors
    /// [`BuildError::NoLog`] when the outbox has no event log.
    pub fn events_table(&self) -> Result<&Table, BuildError> {
        self.tables.events()
    }

    /// The marks table.
    ///
    /// # Errors
    /// [`BuildError::NoMarks`] when the outbox has no marks.
    pub fn marks_table(&self) -> Result<&Table, BuildError> {
        self.tables.marks()
    }

    /// Reads an aggregate, consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the item cannot be read.
    pub async fn load<S: State>(&self, table: &Table, id: &str) -> Result<Entity<S>, Error> {
        let item = self.store.get(&S::key(table, id)).await?;
        Entity::read(table, id, item)
    }

    /// Reads the last sequence of an aggregate (`type#id`) that another system owns.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the item cannot be read.
    pub async fn load_numbered(
        &self,
        table: &Table,
        aggregate: &str,
    ) -> Result<Entity<Numbered>, Error> {
        let key = table.key(aggregate, "numbers");
        let item = self.store.get(&key).await?;
        Entity::read_at(key, aggregate.to_owned(), item)
    }

    /// Reads two aggregates of one type in one consistent call.
    ///
    /// # Errors
    /// [`Error`] when the store fails or an item cannot be read.
    pub async fn load_pair<S: State>(
        &self,
        table: &Table,
        first: &str,
        second: &str,
    ) -> Result<(Entity<S>, Entity<S>), Error> {
        let mut both = self.load_each(table, &[first, second]).await?.into_iter();
        match (both.next(), both.next()) {
            (Some(one), Some(two)) => Ok((one, two)),
            // There is one for each id.
            _ => Err(Error::Refused("two aggregates were asked for".to_owned())),
        }
    }

    /// Reads aggregates of one type in one consistent call, at most 100 of them. The result has one for each id, in the order
    /// of the ids. No two ids may be the same.
    ///
    /// # Errors
    /// [`Error`] when the store fails or an item cannot be read.
    pub async fn load_each<S: State>(
        &self,
        table: &Table,
        ids: &[&str],
    ) -> Result<Vec<Entity<S>>, Error> {
        let keys: Vec<Key> = ids.iter().map(|id| S::key(table, id)).collect();
        let items = self.store.get_many(&keys).await?;
        let read = ids.iter().zip(items);
        read.map(|(id, item)| Entity::read(table, id, item))
            .collect()
    }

    /// Reads a row, consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the item cannot be read.
    pub async fn row<T: DeserializeOwned>(&self, key: &Key) -> Result<Option<T>, Error> {
        match self.store.get(key).await? {
            Some(item) => decode_item(key, item).map(Some),
            None => Ok(None),
        }
    }

    /// Reads a page of a partition.
    ///
    /// # Errors
    /// [`Error`] when the store fails or an item cannot be read.
    pub async fn rows<T: DeserializeOwned>(
        &self,
        query: &Query,
    ) -> Result<(Vec<T>, Option<crate::Cursor>), Error> {
        let page = self.store.query(query).await?;
        let place = query.table.key(query.pk.as_str(), "*");
        let rows = page
            .items
            .into_iter()
            .map(|item| decode_item(&place, item))
            .collect::<Result<_, _>>()?;
        Ok((rows, page.next))
    }

    /// Reads a mark, consistently; `None` if this was not done before.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the mark cannot be read.
    pub async fn done(&self, mark: &Mark) -> Result<Option<Done>, Error> {
        let key = mark.key(self.tables.marks()?)?;
        match (mark, self.store.get(&key).await?) {
            (_, None) => Ok(None),
            (Mark::Cursor { to, .. }, Some(item)) => in_order::done(&key, item, *to),
            (_, Some(item)) => decode_item(&key, item).map(Some),
        }
    }

    /// Makes a projection's guarded write.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Error> {
        Ok(self.store.put_guarded(put).await?)
    }

    /// An empty transaction behind a mark.
    #[must_use]
    pub fn begin(&self, mark: &Mark, cause: &Cause) -> Transaction {
        Transaction::new(
            mark.clone(),
            cause.clone(),
            Arc::clone(&self.program),
            Arc::clone(&self.clock),
            Arc::clone(&self.registry),
            self.tables.clone(),
        )
    }

    /// Decides and commits. After a conflict the decision is made again, a bounded number of times, with jitter.
    ///
    /// Before a refusal takes effect, the mark is read. A repeat of something already done is [`Outcome::AlreadyDone`],
    /// even if the rules refuse it now.
    ///
    /// # Errors
    /// The decision's own error, or [`Error`] when a dependency failed. [`Error::Unknown`] when the commit's answer was
    /// lost and its outcome could not be determined: the change is either done or not, and a retry with the same mark
    /// is safe.
    pub async fn execute<T, R, E, F, Fut>(
        &self,
        mark: &Mark,
        cause: &Cause,
        decide: F,
    ) -> Result<Outcome<T, R>, E>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<Decision<T, R>, E>>,
        E: From<Error>,
    {
        self.execute_watched(mark, cause, &AtomicBool::new(false), decide)
            .await
    }

    /// [`Self::execute`] for callers that can cancel it. `under_way` is true while a commit has been sent and it is
    /// unknown whether the commit took effect, or still will.
    ///
    /// # Errors
    /// Those of [`Self::execute`].
    pub async fn execute_watched<T, R, E, F, Fut>(
        &self,
        mark: &Mark,
        cause: &Cause,
        under_way: &AtomicBool,
        mut decide: F,
    ) -> Result<Outcome<T, R>, E>
    where
        F: FnMut(Transaction) -> Fut,
        Fut: Future<Output = Result<Decision<T, R>, E>>,
        E: From<Error>,
    {
        let begun = self.clock.now();
        let mut deciding = begun;
        for attempt in 0..self.limits.decisions.max(1) {
            if attempt > 0 {
                let now = self.clock.now();
                if now.since(begun) > self.limits.patience {
                    break;
                }
                let pause = self.limits.pause(attempt, now.since(deciding));
                self.clock.sleep_jittered(pause, self.limits.jitter).await;
                deciding = self.clock.now();
            }
            let (transaction, value) = match decide(self.begin(mark, cause)).await? {
                Decision::Commit(transaction, value) => (transaction, value),
                Decision::Refuse(refusal) => {
                    return Ok(match self.done(mark).await? {
                        Some(done) => Outcome::AlreadyDone(done),
                        None => Outcome::Refused(refusal),
                    });
                }
            };
            let (prepared, events) = transaction.prepare().map_err(Error::from)?;
            under_way.store(true, Ordering::Relaxed);
            let verdict = self.commit_until_known(&prepared, mark).await;
            // After an unknown outcome the commit can still take effect, so it stays under way.
            under_way.store(matches!(verdict, Err(Error::Unknown(_))), Ordering::Relaxed);
            match verdict? {
                CommitVerdict::Committed => return Ok(Outcome::Committed { value, events }),
                CommitVerdict::AlreadyDone(done) => return Ok(Outcome::AlreadyDone(done)),
                CommitVerdict::Conflict => {
                    tracing::debug!(attempt, mark = mark.kind(), "conflict, deciding again");
                }
                CommitVerdict::Stale => return Ok(Outcome::Contention),
            }
        }
        // The last conflict can have been with a copy of the same request or message.
        Ok(match self.done(mark).await? {
            Some(done) => Outcome::AlreadyDone(done),
            None => Outcome::Contention,
        })
    }

    /// Sends the bytes until it is known whether they took effect.
    async fn commit_until_known(
        &self,
        prepared: &Prepared,
        mark: &Mark,
    ) -> Result<CommitVerdict, Error> {
        let sendings = Sendings {
            resends: self.limits.resends,
            base: self.limits.base,
            cap: self.limits.cap,
        };
        let evidence = MarkOf {
            outbox: self,
            mark,
            token: &prepared.token,
        };
        send_until_known(&*self.store, &*self.clock, prepared, sendings, &evidence).await
    }
}

/// The mark as evidence: the transaction whose token it holds has committed.
struct MarkOf<'a> {
    outbox: &'a Outbox,
    mark: &'a Mark,
    token: &'a str,
}

#[async_trait]
impl Evidence for MarkOf<'_> {
    type Verdict = CommitVerdict;

    fn written(&self) -> CommitVerdict {
        CommitVerdict::Committed
    }

    async fn look(&self) -> Result<Option<CommitVerdict>, Error> {
        let done = self.outbox.done(self.mark).await?;
        Ok(done.map(|done| {
            if done.token == self.token {
                CommitVerdict::Committed
            } else {
                CommitVerdict::AlreadyDone(done)
            }
        }))
    }

    async fn cancelled(
        &self,
        reasons: &[Reason],
        is_answer_lost: bool,
    ) -> Result<Option<CommitVerdict>, Error> {
        let mark_failed = reasons.first() == Some(&Reason::ConditionFailed);
        // After a lost answer only the mark decides, not the reasons: our own commit can have made the conditions fail.
        if mark_failed || is_answer_lost {
            if let Some(verdict) = self.look().await? {
                return Ok(Some(verdict));
            }
            let in_progress = reasons
                .iter()
                .any(|reason| matches!(reason, Reason::Conflict | Reason::Throttled));
            if is_answer_lost && in_progress {
                return Ok(None);
            }
            if mark_failed && matches!(self.mark, Mark::Cursor { .. }) {
                return Ok(Some(CommitVerdict::Stale));
            }
            // The mark expired between the two reads, or never existed. In both cases nothing of ours is written.
            return Ok(Some(CommitVerdict::Conflict));
        }
        for reason in reasons {
            if let Reason::Other(code) = reason {
                return Err(Error::Refused(code.clone()));
            }
        }
        Ok(Some(CommitVerdict::Conflict))
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// An error and its sources in one line, for logs and dead letters.
#[must_use]
pub fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        let inner_text = inner.to_string();
        if !text.ends_with(&inner_text) {
            text.push_str(": ");
            text.push_str(&inner_text);
        }
        source = inner.source();
    }
    text
}

/// Reads a text attribute of an item.
pub(crate) fn item_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(serde_json::Value::as_str)
}
