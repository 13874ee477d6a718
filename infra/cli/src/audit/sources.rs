//! What an audit reads: the tables and queues of one stack, found among its resources.

use std::{collections::BTreeMap, sync::Arc};

use aws::DynamoStore;
use aws_config::SdkConfig;
use consumer::Handler;
use evidence::{CheckedConsumer, checked_consumers};
use outbox::{Clock, Store, SystemClock, Table};

use super::{
    Error,
    letters::{Queues, SqsQueues},
};
use crate::resources::StackResources;

/// The tables an audit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AuditTables {
    /// The event log.
    pub events: Table,
    /// The marks.
    pub marks: Table,
    /// The tables of domains and consumers, by the owner's name: `cloud`, `notifications`.
    owned: BTreeMap<String, Table>,
}

impl AuditTables {
    /// The event log, the marks, and the tables of domains and consumers, each by its owner's name, such as `cloud`.
    pub fn new<N: Into<String>>(
        events: Table,
        marks: Table,
        owned: impl IntoIterator<Item = (N, Table)>,
    ) -> Self {
        let owned = owned.into_iter();
        Self {
            events,
            marks,
            owned: owned.map(|(name, table)| (name.into(), table)).collect(),
        }
    }

    /// The table of an owner. `None` if the stack does not have it.
    pub(super) fn of(&self, owner: &str) -> Option<Table> {
        self.owned.get(owner).cloned()
    }

    /// The tables that hold consumers' evidence.
    pub(super) fn evidence(&self) -> evidence::EvidenceTables {
        // A table that the stack does not have is left out: its consumers have no lane there either.
        evidence::EvidenceTables::of_projections()
            .into_iter()
            .filter_map(|table| Some((table, self.of(&table.id.to_lowercase())?)))
            .fold(
                evidence::EvidenceTables::new(self.marks.clone()),
                |tables, (table, deployed)| tables.with(table, deployed),
            )
    }
}

/// A lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The consumer's logical name in the stack: `CloudTreasury`.
    pub consumer: String,
    /// `express` or `standard`.
    pub name: &'static str,
    /// The queue's URL.
    pub url: String,
}

/// Everything an audit reads. It writes nothing.
#[derive(Clone)]
pub struct Sources {
    pub(super) store: Arc<dyn Store>,
    pub(super) queues: Arc<dyn Queues>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tables: AuditTables,
    pub(super) lanes: Vec<Lane>,
    /// The URL of the stack's dead-letter queue.
    pub(super) dead_letters_url: String,
    pub(super) checked_consumers: Vec<CheckedConsumer>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("tables", &self.tables)
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

/// The owner's name of a logical name: `CloudTreasury` is `cloud-treasury`.
fn kebab(logical: &str) -> String {
    let mut words = String::new();
    for letter in logical.chars() {
        if letter.is_uppercase() && !words.is_empty() {
            words.push('-');
        }
        words.extend(letter.to_lowercase());
    }
    words
}

const LANES: [(&str, &str); 2] = [("express", "Express"), ("standard", "Standard")];

impl Sources {
    /// The tables and queues among a stack's resources.
    ///
    /// # Errors
    /// [`Error::Stack`] names the resource that is missing.
    pub fn of_resources(sdk: &SdkConfig, resources: &StackResources) -> Result<Self, Error> {
        let owned = resources.tables().filter_map(|(logical_id, name)| {
            let owner = logical_id.strip_suffix("Table")?;
            Some((kebab(owner), Table::domain(name)))
        });
        let tables = AuditTables::new(
            Table::events(resources.table("EventsTable")?),
            Table::marks(resources.table("MarksTable")?),
            owned,
        );
        let mut lanes = Vec::new();
        for queue in resources.queues() {
            for (name, word) in LANES {
                let Some(consumer) = queue.strip_suffix(&format!("{word}Queue")) else {
                    continue;
                };
                lanes.push(Lane {
                    consumer: consumer.to_owned(),
                    name,
                    url: resources.queue(queue)?.to_owned(),
                });
            }
        }
        Ok(Self::new(
            Arc::new(DynamoStore::new(aws::dynamodb(sdk))),
            Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(sdk))),
            Arc::new(SystemClock),
            tables,
            lanes,
            resources.queue("DeadLetterQueue")?.to_owned(),
        ))
    }

    /// The same for a stack by name.
    ///
    /// # Errors
    /// [`Error::Stack`] if the stack's resources cannot be listed, or it is not a Millrace stack.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        Self::of_resources(sdk, &StackResources::of_stack(sdk, stack).await?)
    }

    /// The lanes of every consumer.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// The URL of the stack's dead-letter queue.
    #[must_use]
    pub fn dead_letters_url(&self) -> &str {
        &self.dead_letters_url
    }

    /// The table of dead letters. `None` if the stack does not have it.
    #[must_use]
    pub fn letters_table(&self) -> Option<Table> {
        self.tables.of("letters")
    }

    /// Any store and queues, such as the ones in memory.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        tables: AuditTables,
        lanes: Vec<Lane>,
        dead_letters_url: String,
    ) -> Self {
        Self {
            store,
            queues,
            clock,
            tables,
            lanes,
            dead_letters_url,
            checked_consumers: checked_consumers(),
        }
    }

    /// Adds a lane of your own, such as one outside the stack.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lanes.push(lane);
        self
    }

    /// Adds a consumer of your own. Its evidence must not be a guard.
    #[must_use]
    pub fn watching<H: Handler>(mut self) -> Self {
        self.checked_consumers.push(CheckedConsumer::new(
            H::NAME,
            <H::Event as events::Subscription>::SELECTION,
        ));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_found_by_the_name_of_its_owner() {
        assert_eq!(kebab("Wallet"), "wallet");
        assert_eq!(kebab("CloudTreasury"), "cloud-treasury");
        let (events, marks) = (Table::events("e"), Table::marks("m"));
        let tables = AuditTables::new(events, marks, [("wallet", Table::domain("w"))]);
        assert_eq!(tables.of("wallet"), Some(Table::domain("w")));
        assert_eq!(tables.of("cloud"), None);
    }
}
