//! The check of the audit log: it walks every chain and compares it with its head, its anchors and the event log.

mod judge;
mod report;
mod walk;

use std::{sync::Arc, time::Duration};

use audit_chain::{KmsKey, MacKey};
use aws::DynamoStore;
use aws_config::SdkConfig;
use outbox::{Clock, Store, SystemClock, Table};

use crate::{
    audit::Error,
    resources::{StackResources, UnknownResources},
};

pub use report::{Counts, Finding, Kind, Newest, Report};

/// What a check reads, and the key that verifies the anchors.
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
    /// Any store and key, such as the ones in memory.
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

    /// The tables among a stack's resources, and the key that is named, else the stack's own.
    ///
    /// # Errors
    /// [`Error::Stack`] names the resource that is missing. A stack that was given a key has none of its own.
    pub fn of_resources(
        sdk: &SdkConfig,
        resources: &StackResources,
        key: Option<&str>,
    ) -> Result<Self, Error> {
        let key = match key {
            Some(key) => key,
            None => resources.key("AuditKey").map_err(|error| {
                UnknownResources::new(format!(
                    "{error}. A stack that was given its key (ExistingAuditKeyArn) is verified with --key"
                ))
            })?,
        };
        Ok(Self::new(
            Arc::new(DynamoStore::new(aws::dynamodb(sdk))),
            Arc::new(SystemClock),
            Table::events(resources.table("EventsTable")?),
            Table::domain(resources.table("AuditTable")?),
            Arc::new(KmsKey::new(sdk, key)),
        ))
    }

    /// The same for a stack by name.
    ///
    /// # Errors
    /// [`Error::Stack`] if the stack's resources cannot be listed, or it is not a Millrace stack.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        Self::of_resources(sdk, &StackResources::of_stack(sdk, stack).await?, None)
    }
}

/// What to check, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Younger events may still be on their way into their chains.
    pub grace: Duration,
    /// Items read per second, both tables together; at least 1.
    pub items_per_second: u32,
    /// Only the chains of these aggregates, as (type, id). Empty: all chains. Anchors are always checked.
    pub scope: Vec<(String, String)>,
    /// The number of the newest anchor that an earlier check saw. That anchor and all before it must exist.
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

/// The progress of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being read.
    pub stage: &'static str,
    /// What was read so far.
    pub counts: Counts,
    /// Findings so far.
    pub findings: usize,
}

/// Checks the audit log of a stack. Reads only. `progress` is called after each page.
///
/// # Errors
/// [`Error`] if something could not be read, or the key could not be used. The check then has no result.
pub async fn verify(
    sources: &Sources,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    walk::Verification::new(sources, options, progress)
        .run()
        .await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stack_without_a_key_of_its_own_says_how_to_name_the_key() {
        let listed = r#"{ "StackResourceSummaries": [{ "LogicalResourceId": "EventsTable",
            "PhysicalResourceId": "s-EventsTable-1", "ResourceType": "AWS::DynamoDB::Table" }] }"#;
        let resources = StackResources::from_json(listed).expect("resources");
        let sdk = SdkConfig::builder().build();
        let Err(error) = Sources::of_resources(&sdk, &resources, None) else {
            unreachable!("it has no key");
        };
        assert!(outbox::chain(&error).contains("--key"), "{error}");
    }
}
