//! The audit log's check: every chain walked, compared with its head, its anchors and the event log.

mod judge;
mod report;
mod walk;

use std::{sync::Arc, time::Duration};

use audit_chain::{KmsKey, MacKey};
use aws::DynamoStore;
use aws_config::SdkConfig;
use outbox::{Clock, Store, SystemClock, Table};

use crate::{audit::Error, resources::StackResources};

pub use report::{Counts, Finding, Kind, Newest, Report};

/// Where a check reads, and the key that it asks.
#[derive(Clone)]
pub struct Sources {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    events: Table,
    audit: Table,
    key: Arc<dyn MacKey>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("events", &self.events)
            .field("audit", &self.audit)
            .finish_non_exhaustive()
    }
}

impl Sources {
    /// Any store and key, such as those in memory.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        events: Table,
        audit: Table,
        key: Arc<dyn MacKey>,
    ) -> Self {
        Self {
            store,
            clock,
            events,
            audit,
            key,
        }
    }

    /// The tables and the key among a stack's resources.
    ///
    /// # Errors
    /// [`Error::Stack`] names the resource that is missing.
    pub fn of_resources(sdk: &SdkConfig, resources: &StackResources) -> Result<Self, Error> {
        Ok(Self::new(
            Arc::new(DynamoStore::new(aws::dynamodb(sdk))),
            Arc::new(SystemClock),
            Table::events(resources.table("EventsTable")?),
            Table::domain(resources.table("AuditTable")?),
            Arc::new(KmsKey::new(sdk, resources.key("AuditKey")?)),
        ))
    }

    /// The same for a stack by name.
    ///
    /// # Errors
    /// [`Error::Stack`] when the stack's resources cannot be listed, or it is none of Millrace's.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        Self::of_resources(sdk, &StackResources::of_stack(sdk, stack).await?)
    }
}

/// What to look at, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// An event that is younger may still be on its way into its chain.
    pub grace: Duration,
    /// Items read per second, of both tables together, at least 1.
    pub items_per_second: u32,
    /// Only the chains of these aggregates, as (type, id); empty: all of them. Anchors are always checked.
    pub scope: Vec<(String, String)>,
    /// The newest anchor that an earlier check saw: it and all before it must be there.
    pub newest_anchor: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(300),
            items_per_second: 500,
            scope: Vec::new(),
            newest_anchor: None,
        }
    }
}

/// How far a check is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being read.
    pub stage: &'static str,
    /// How much was read.
    pub counts: Counts,
    /// What was found so far.
    pub findings: usize,
}

/// Checks the audit log of a stack. Reads only; `progress` hears after each page.
///
/// # Errors
/// [`Error`] when something could not be read, or the key could not be asked: then nothing is known.
pub async fn verify(
    sources: &Sources,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    walk::Verification::new(sources, options, progress)
        .run()
        .await
}
