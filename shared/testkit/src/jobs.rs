//! The basis of tests of a scheduled job: a store in memory, a clock under the test's control, and an outbox over both.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{sync::Arc, time::Duration};

use consumer::schedule::{Job, JobRunner, Report, RunError, Settings};
use events::Registry;
use outbox::{Clock as _, Key, Outbox, Store as _, Table, encode_item, memory::MemoryStore};
use serde_json::Value;

use crate::TestClock;

/// The time limit of a run, unless a test says otherwise.
const RUN: Duration = Duration::from_secs(300);

/// The surroundings of a job under test.
#[derive(Debug)]
pub struct JobSite {
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    outbox: Outbox,
}

impl JobSite {
    /// A site with the tables `events` and `marks`.
    #[must_use]
    pub fn new() -> Self {
        Self::with(|store, clock, registry, marks| {
            Outbox::new(store, clock, registry, Table::events("events"), marks)
        })
    }

    /// A site for a job that emits no events.
    #[must_use]
    pub fn without_log() -> Self {
        Self::with(|store, clock, registry, marks| {
            Outbox::without_log(store, clock, registry, marks)
        })
    }

    fn with(
        outbox: impl FnOnce(Arc<MemoryStore>, Arc<TestClock>, Arc<Registry>, Table) -> Outbox,
    ) -> Self {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(TestClock::new(1)));
        let registry = Arc::new(Registry::shipped());
        Self {
            outbox: outbox(
                Arc::clone(&store),
                Arc::clone(&clock),
                registry,
                Table::marks("marks"),
            ),
            store,
            clock,
        }
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.store
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// The outbox.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Writes a row without changing it.
    ///
    /// # Panics
    /// When the row is not an item.
    pub async fn put(&self, key: &Key, row: &Value) {
        let item = encode_item(key, row).expect("an item");
        let put = self.store.put_all(&key.table, &[item]).await;
        put.expect("put");
    }

    /// A run by a new instance, with a time limit of five minutes.
    ///
    /// # Errors
    /// The error of the run.
    pub async fn run<J: Job>(&self, job: J) -> Result<Report, RunError> {
        let runner = JobRunner::new(job, self.outbox.clone(), Settings::default());
        runner.run(self.clock.now().plus(RUN)).await
    }
}

impl Default for JobSite {
    fn default() -> Self {
        Self::new()
    }
}
