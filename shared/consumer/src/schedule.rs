//! Scheduled jobs on Lambda: one runner at a time, page by page, each page one transaction, going on where the last run
//! ended.
//!
//! * A **pass** goes over all of a job's work, from its beginning to its end, page by page. A **run** is one invocation: it
//!   takes as many pages as its time allows. A pass may take several runs; the next run goes on at the cursor.
//! * The **lease** ([`Lease`]) says who may run until when, and where the pass stands. Its fencing number grows with every
//!   run; every page's transaction advances the lease's row and is refused when somebody else has written that row since.
//! * What is durable when: after a page's commit its writes, its mark ([`outbox::Mark::JobPage`]) and the cursor behind it
//!   are; before it none of them is. The lease's time only keeps two runners from working for nothing and from acting
//!   outside the store at the same time; that nothing is *written* twice rests on the fence and the mark.
//!
//! A page that acts outside the store (sends a mail) does so at least once: the process may die between the act and the
//! commit, and the page is then decided again. It is never begun with less lease left than its time limit.

mod lease;
mod runner;
mod settings;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outbox::Transaction;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use telemetry::metrics::{Counter, Metrics};

use crate::Failure;

pub use lease::{Ending, Lease, NOTE_MAX_CHARS, NOTES_MAX, RUN_LIFE, RunRecord, lease, runs};
pub use runner::{Report, RunError, Runner};
pub use settings::{MARGIN, Settings};

/// A job that a schedule starts again and again.
#[async_trait]
pub trait Job: Send + Sync {
    /// The job's name: the identity of its lease and of its pages' marks. Never rename it while a pass is unfinished.
    /// It MUST hold no `#`.
    const NAME: &'static str;

    /// Counts of pages that are metrics, too, each by its name: told once a run, under {stage, consumer}, the job's name
    /// being the consumer's.
    const METRICS: &'static [(&'static str, Counter)] = &[];

    /// Where a pass stands between two pages. It is stored as JSON; code that is deployed in the middle of a pass must
    /// still read it.
    type Cursor: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// The next page: what to write, and where to go on. `None` as cursor is the beginning of a pass. The page's place is
    /// in the transaction's mark.
    ///
    /// It is called again for the same page after a conflict, and by the next run where this one failed or died: what makes
    /// that harmless is what it writes and the keys of what it does outside the store, never what it remembers.
    ///
    /// The whole page, its commit included, must fit [`Settings::page_timeout`].
    ///
    /// # Errors
    /// [`Failure`] of any class: nothing is written, the run fails, and the next one begins with this page.
    async fn page(
        &self,
        cursor: Option<&Self::Cursor>,
        transaction: Transaction,
    ) -> Result<Paged<Self::Cursor>, Failure>;
}

/// Where a pass goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<C> {
    /// With the page behind this cursor.
    From(C),
    /// Nowhere: the pass is done.
    End,
}

/// What a page came to.
#[derive(Debug)]
pub struct Paged<C> {
    /// What it writes; the runtime adds the lease's advance and commits it with the page's mark.
    pub transaction: Transaction,
    /// Where the pass goes on.
    pub next: Next<C>,
    /// What was done, by name; summed over a run and over a pass.
    pub counts: BTreeMap<&'static str, u64>,
    /// What a person should know of this page, for the run's record; no secrets, no addresses.
    pub notes: Vec<String>,
}

impl<C> Paged<C> {
    /// A page that counts nothing yet.
    #[must_use]
    pub fn new(transaction: Transaction, next: Next<C>) -> Self {
        Self {
            transaction,
            next,
            counts: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// Counts `n` more of something.
    #[must_use]
    pub fn count(mut self, name: &'static str, n: u64) -> Self {
        let sum = self.counts.entry(name).or_default();
        *sum = sum.saturating_add(n);
        self
    }

    /// Notes something for the run's record, which keeps the first [`NOTES_MAX`].
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
}

/// The metrics among the counts of a run.
#[must_use]
pub fn metrics<J: Job>(stage: &str, counts: &BTreeMap<String, u64>) -> Metrics {
    let mut metrics = Metrics::for_consumer(stage, J::NAME);
    for (name, counter) in J::METRICS {
        metrics.count(*counter, counts.get(*name).copied().unwrap_or_default());
    }
    metrics
}

/// Handles invocations until the environment ends. The schedule's own event is not looked at: it only says "now".
///
/// # Errors
/// What the Lambda runtime cannot go on after.
pub async fn run<J: Job>(runner: Runner<J>) -> Result<(), Error> {
    let runner = Arc::new(runner);
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Value>| {
        let runner = Arc::clone(&runner);
        async move { invoke(&runner, invocation).await }
    }))
    .await
}

/// One invocation. Answers how the run ended, for whoever invokes the function by hand.
///
/// # Errors
/// [`RunError`] when the run failed: the function's error metric, and so its alarm, shows it; the schedule comes again.
pub async fn invoke<J: Job>(
    runner: &Runner<J>,
    invocation: LambdaEvent<Value>,
) -> Result<Report, Error> {
    let deadline = crate::queue::deadline(invocation.context.deadline)?;
    Ok(runner.run(deadline).await?)
}
