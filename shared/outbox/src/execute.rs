//! Deciding and committing: conflicts are decided again, lost answers are settled first.

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
    tables::Tables,
};

/// Anything from nothing to twice the pause, in percent of it: those who lost one race do not run the next together.
const FULL_JITTER: u64 = 100;
/// Half the pause to both sides, in percent of it: consumers are few, and a lane's own delays spread them further.
const HALF_JITTER: u64 = 50;

/// What a decision came to.
#[derive(Debug)]
#[expect(
    clippy::large_enum_variant,
    reason = "made once per attempt and taken apart at once; a box would only cost its users a word"
)]
pub enum Decision<T, R> {
    /// Write this; the value is what the caller gets when it is committed.
    Commit(Transaction, T),
    /// The rules forbid it; nothing is written.
    Refuse(R),
}

/// What became of a command or an event.
#[derive(Debug)]
pub enum Outcome<T, R> {
    /// Committed just now.
    Committed {
        /// What the decision handed out.
        value: T,
        /// The events it logged.
        events: Vec<Envelope>,
    },
    /// Committed before: by an earlier call, a copy of the event, or our own lost commit of an earlier life.
    AlreadyDone(Done),
    /// Refused by the rules, and never done before.
    Refused(R),
    /// Others changed the same state again and again; nothing was written. The same mark is safe to try again, a cursor's
    /// advance after the cursor was read again.
    Contention,
}

/// How often, and how far apart, things are tried inside one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryLimits {
    /// Decisions per call, the first included; at least 1.
    pub decisions: u32,
    /// How long after the first decision began a pause for another one may still begin.
    pub patience: Duration,
    /// Times the same bytes are sent again when the answer was lost.
    pub resends: u32,
    /// First pause; doubles with each attempt.
    pub base: Duration,
    /// Longest pause, and the longest that a decision counts as having taken; both before the jitter.
    pub cap: Duration,
    /// A pause before deciding again is at least so many times what the decision before took; 0: whatever it took.
    pub after_slow: u32,
    /// How far a pause strays from its length, in percent of it: 0 to 100.
    pub jitter: u64,
}

impl Default for RetryLimits {
    /// For what comes by a queue, which brings again what was not done, a few at a time.
    fn default() -> Self {
        Self {
            decisions: 6,
            // Whoever gives a record its time ends it.
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
    /// For callers who wait, as many at once as there are.
    ///
    /// Those who want one item at once slow each other down, and who reads early and commits late loses. A decision that took long
    /// is the sign of it: the pause follows it, so that few are at it at a time and those get through.
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

    /// The pause before attempt number `attempt`, the first repeat being 1, after a decision that took `took`.
    fn pause(&self, attempt: u32, took: Duration) -> Duration {
        self.base
            .saturating_mul(1 << attempt.min(16).saturating_sub(1))
            .min(self.cap)
            .max(took.min(self.cap).saturating_mul(self.after_slow))
    }
}

/// Where transactions are made and committed: the store, the log's and the marks' tables, the contracts.
#[derive(Clone)]
pub struct Outbox {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    tables: Tables,
    program: Arc<Program>,
    limits: RetryLimits,
}

enum Settled {
    Committed,
    AlreadyDone(Done),
    Conflict,
    /// The cursor is not what the decision read: deciding again on the same reading cannot help.
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

    /// An outbox without event log, for what emits no events and reads none: a transaction with an event is refused when it
    /// is built, [`BuildError::NoLog`].
    pub fn without_log(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        marks: Table,
    ) -> Self {
        Self::on(store, clock, registry, None, Some(marks))
    }

    /// An outbox for what only makes guarded writes, [`Self::put_guarded`]: it has neither event log nor marks.
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
            tables: Tables { events, marks },
            program: Arc::default(),
            limits: RetryLimits::default(),
        }
    }

    /// Other limits than the default.
    #[must_use]
    pub fn with_limits(mut self, limits: RetryLimits) -> Self {
        self.limits = limits;
        self
    }

    /// The program that its events name as the one that made them.
    #[must_use]
    pub fn with_program(mut self, program: Program) -> Self {
        self.program = Arc::new(program);
        self
    }

    /// How often, and how far apart, it tries.
    #[must_use]
    pub fn limits(&self) -> RetryLimits {
        self.limits
    }

    /// The same over another store.
    #[must_use]
    pub fn with_store(&self, store: Arc<dyn Store>) -> Self {
        Self {
            store,
            ..self.clone()
        }
    }

    /// This outbox with its commits grouped: the transactions that the [`crate::group::Member`]s of the answered store
    /// decide at the same time are committed together.
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

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// The contracts.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The event log's table.
    ///
    /// # Errors
    /// [`BuildError::NoLog`].
    pub fn events_table(&self) -> Result<&Table, BuildError> {
        self.tables.events()
    }

    /// The marks' table.
    ///
    /// # Errors
    /// [`BuildError::NoMarks`].
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

    /// Reads how far the events of an aggregate are numbered whose owner is not here, `type#id`.
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

    /// Reads two aggregates of a kind in one consistent call.
    ///
    /// # Errors
    /// [`Error`] when the store fails or an item cannot be read.
    pub async fn load_pair<S: State>(
        &self,
        table: &Table,
        first: &str,
        second: &str,
    ) -> Result<(Entity<S>, Entity<S>), Error> {
        let mut items = self
            .store
            .get_many(&[S::key(table, first), S::key(table, second)])
            .await?
            .into_iter();
        let (one, two) = (items.next().flatten(), items.next().flatten());
        Ok((
            Entity::read(table, first, one)?,
            Entity::read(table, second, two)?,
        ))
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

    /// Reads a mark, consistently: whether this was done before.
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

    /// A projection's guarded write.
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

    /// Decides and commits: on a conflict the decision is made again, a bounded number of times with jitter.
    ///
    /// A refusal is only acted on after the mark was read: a repeat of something already done is
    /// [`Outcome::AlreadyDone`], whatever the rules say of it now.
    ///
    /// # Errors
    /// The decision's own error, or [`Error`] when a dependency failed. [`Error::Unknown`] when the commit's answer was
    /// lost for good: the change may have happened; the same mark is safe to try again.
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

    /// [`Self::execute`] for callers that may end it early: `under_way` is true while a commit has been sent of which it
    /// is not known whether it took effect, or still will.
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
            let settled = self.settle(&prepared, mark).await;
            // An unknown outcome stays one.
            under_way.store(matches!(settled, Err(Error::Unknown(_))), Ordering::Relaxed);
            match settled? {
                Settled::Committed => return Ok(Outcome::Committed { value, events }),
                Settled::AlreadyDone(done) => return Ok(Outcome::AlreadyDone(done)),
                Settled::Conflict => {
                    tracing::debug!(attempt, mark = mark.kind(), "conflict, deciding again");
                }
                Settled::Stale => return Ok(Outcome::Contention),
            }
        }
        // The last conflict may have been with a copy of ourselves.
        Ok(match self.done(mark).await? {
            Some(done) => Outcome::AlreadyDone(done),
            None => Outcome::Contention,
        })
    }

    /// Sends the bytes until it is known whether they took effect.
    async fn settle(&self, prepared: &Prepared, mark: &Mark) -> Result<Settled, Error> {
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

/// The mark that a transaction puts: whose token it holds has committed.
struct MarkOf<'a> {
    outbox: &'a Outbox,
    mark: &'a Mark,
    token: &'a str,
}

#[async_trait]
impl Evidence for MarkOf<'_> {
    type Verdict = Settled;

    fn written(&self) -> Settled {
        Settled::Committed
    }

    async fn look(&self) -> Result<Option<Settled>, Error> {
        let done = self.outbox.done(self.mark).await?;
        Ok(done.map(|done| {
            if done.token == self.token {
                Settled::Committed
            } else {
                Settled::AlreadyDone(done)
            }
        }))
    }

    async fn cancelled(
        &self,
        reasons: &[Reason],
        is_answer_lost: bool,
    ) -> Result<Option<Settled>, Error> {
        let mark_failed = reasons.first() == Some(&Reason::ConditionFailed);
        // After a lost answer the mark decides, whatever the reasons are: our own commit changed what they look at.
        if mark_failed || is_answer_lost {
            if let Some(settled) = self.look().await? {
                return Ok(Some(settled));
            }
            let in_progress = reasons
                .iter()
                .any(|reason| matches!(reason, Reason::Conflict | Reason::Throttled));
            if is_answer_lost && in_progress {
                return Ok(None);
            }
            if mark_failed && matches!(self.mark, Mark::Cursor { .. }) {
                return Ok(Some(Settled::Stale));
            }
            // Gone between the two looks (expired), or never there: either way nothing of ours is written.
            return Ok(Some(Settled::Conflict));
        }
        for reason in reasons {
            if let Reason::Other(code) = reason {
                return Err(Error::Refused(code.clone()));
            }
        }
        Ok(Some(Settled::Conflict))
    }
}

impl std::fmt::Debug for Outbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Outbox")
            .field("tables", &self.tables)
            .finish_non_exhaustive()
    }
}

/// An error and its sources in one line, for logs and letters.
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

/// Reads typed rows out of raw items.
pub(crate) fn item_text<'a>(item: &'a Item, name: &str) -> Option<&'a str> {
    item.get(name).and_then(serde_json::Value::as_str)
}
