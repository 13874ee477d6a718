//! Scheduled jobs on Lambda: one runner at a time works page by page. Each page is one transaction, and a run continues
//! where the last run ended.
//!
//! * A **pass** covers all of a job's work, from beginning to end, page by page. A **run** is one invocation: it takes
//!   as many pages as its time allows. A pass can take several runs; the next run continues at the cursor.
//! * The **lease** ([`Lease`]) says which run may work, until when, and how far the pass has got. Its fencing number
//!   grows with every run. Every page's transaction advances the lease's row, and the store refuses it if another run
//!   has written that row since.
//! * What is durable when: after a page's commit, the page's writes, its mark ([`outbox::Mark::JobPage`]) and the
//!   cursor after it are durable; before the commit none of them is.
//! * The lease's time only avoids wasted work and keeps two runners from acting outside the store at the same time. That
//!   nothing is *written* twice rests on the fencing number and the mark.
//!
//! A job that can tell cheaply that there is nothing to do ([`Job::has_work`]) is asked before a new pass begins. Such a run
//! takes no lease and writes nothing: it leaves no record.
//!
//! A page that acts outside the store (sends a mail, for example) does so at least once: the process can die between
//! the act and the commit, and the page is then decided again. A page is begun only if the rest of the lease covers its
//! time limit.

mod lease;
mod runner;
mod settings;

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use events::Timestamp;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outbox::Transaction;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use telemetry::metrics::{Counter, Metrics};

use crate::Failure;

pub use lease::{
    Ending, JobState, Lease, NOTE_MAX_CHARS, NOTES_MAX, RUN_LIFE, RunRecord, lease, look, runs,
};
pub use runner::{JobRunner, Report, RunError};
pub use settings::{MARGIN, Settings};

/// A job that a schedule starts again and again.
#[async_trait]
pub trait Job: Send + Sync {
    /// The job's name: the identity of its lease and of its pages' marks. Never rename it while a pass is unfinished.
    /// The name MUST NOT contain `#`.
    const NAME: &'static str;

    /// Whether a run that finds the lease held waits for it, as long as its own time allows, instead of ending. For a job that
    /// events start: what a run that is ending did not see is then seen at once, not by the next scheduled run.
    const WAITS: bool = false;

    /// The counts of pages that are also metrics, by name. Each run emits them once, under {stack, consumer}, with the
    /// job's name as the consumer.
    const METRICS: &'static [(&'static str, Counter)] = &[];

    /// The position of a pass between two pages. It is stored as JSON. Code that is deployed in the middle of a pass
    /// must be able to read it.
    type Cursor: Serialize + DeserializeOwned + Clone + Send + Sync;

    /// Whether a new pass would find anything to do. The runtime asks before it takes the lease, unless a pass is
    /// unfinished. `false` ends the run, which then costs only what this reads. A job that starts often and is mostly idle
    /// should answer; by default every run has work.
    ///
    /// # Errors
    /// [`Failure`] of any class: the run goes on as if there were work, so that its record has what goes wrong.
    async fn has_work(&self, _now: Timestamp) -> Result<bool, Failure> {
        Ok(true)
    }

    /// Decides on the next page: what to write, and where the pass continues. The cursor is `None` at the beginning of
    /// a pass. The number of the page is in the transaction's mark.
    ///
    /// The runtime calls it again for the same page after a conflict, and in the next run if this run failed or died.
    /// What it writes, and the idempotency keys of its effects outside the store, make that harmless. It must not rely
    /// on anything that it remembers.
    ///
    /// The whole page, including its commit, must fit into [`Settings::page_timeout`].
    ///
    /// # Errors
    /// [`Failure`] of any class: nothing is written, the run fails, and the next run begins with this page.
    async fn page(
        &self,
        cursor: Option<&Self::Cursor>,
        transaction: Transaction,
    ) -> Result<Paged<Self::Cursor>, Failure>;
}

/// Where a pass continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next<C> {
    /// With the page after this cursor.
    From(C),
    /// Nowhere: the pass is done.
    End,
}

/// The result of a page.
#[derive(Debug)]
pub struct Paged<C> {
    /// The page's writes. The runtime adds the lease's advance and commits both with the page's mark.
    pub transaction: Transaction,
    /// Where the pass continues.
    pub next: Next<C>,
    /// Counts of what was done, by name; summed over a run and over a pass.
    pub counts: BTreeMap<&'static str, u64>,
    /// Notes about this page for the operator, kept in the run's record. They must contain no secrets and no addresses.
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

    /// Adds `n` to the count `name`.
    #[must_use]
    pub fn count(mut self, name: &'static str, n: u64) -> Self {
        let sum = self.counts.entry(name).or_default();
        *sum = sum.saturating_add(n);
        self
    }

    /// Adds a note to the run's record, which keeps the first [`NOTES_MAX`] notes.
    #[must_use]
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }
}

/// The counts of a run that are metrics.
#[must_use]
pub fn metrics<J: Job>(stack: &str, counts: &BTreeMap<String, u64>) -> Metrics {
    let mut metrics = Metrics::for_consumer(stack, J::NAME);
    for (name, counter) in J::METRICS {
        metrics.count(*counter, counts.get(*name).copied().unwrap_or_default());
    }
    metrics
}

/// Handles invocations until the execution environment ends. The schedule's event is ignored, because it only says
/// "now".
///
/// # Errors
/// An error after which the Lambda runtime cannot continue.
pub async fn run<J: Job>(runner: JobRunner<J>) -> Result<(), Error> {
    let runner = Arc::new(runner);
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<Value>| {
        let runner = Arc::clone(&runner);
        async move { invoke(&runner, invocation).await }
    }))
    .await
}

/// Handles one invocation. The result says how the run ended, for an operator who invokes the function by hand.
///
/// # Errors
/// [`RunError`] when the run failed. The function's error metric and its alarm show it, and the schedule starts a new
/// run.
pub async fn invoke<J: Job>(
    runner: &JobRunner<J>,
    invocation: LambdaEvent<Value>,
) -> Result<Report, Error> {
    let deadline = crate::queue::deadline(invocation.context.deadline)?;
    Ok(runner.run(deadline).await?)
}
