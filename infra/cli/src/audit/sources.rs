//! Where an audit reads: the tables and queues of one stack, found among its resources.

use std::sync::Arc;

use aws::DynamoStore;
use aws_config::SdkConfig;
use consumer::Handler;
use evidence::{Watched, watched};
use outbox::{Clock, Store, SystemClock, Table};
use topology::functions;

use super::{
    Error,
    letters::{Queues, SqsQueues},
};
use crate::resources::StackResources;

/// The tables an audit reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The event log.
    pub events: Table,
    /// The marks.
    pub marks: Table,
    /// Members.
    pub member: Table,
    /// Credits, treasury accounts, totals, alerts.
    pub cloud: Table,
    /// Contacts and notes.
    pub notifications: Table,
    /// Counts and sums over time.
    pub analytics: Table,
    /// Wallets, their ledger, escrows, balances to read.
    pub wallet: Table,
    /// Payments and settlements.
    pub settlement: Table,
    /// The feed: rows, places, its head.
    pub feed: Table,
}

impl Tables {
    /// Those that evidence stands in.
    pub(super) fn evidence(&self) -> evidence::Tables {
        evidence::Tables::new(self.marks.clone())
            .with(&functions::cloud_api::TABLE, self.cloud.clone())
            .with(&functions::notifications::TABLE, self.notifications.clone())
            .with(&functions::wallet_api::TABLE, self.wallet.clone())
    }
}

/// A lane and its dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// The consumer's logical name in the stack: `CloudTreasury`.
    pub consumer: String,
    /// `express` or `standard`.
    pub name: &'static str,
    /// The queue's URL.
    pub url: String,
    /// The URL of its dead-letter queue.
    pub letters_url: String,
}

/// Everything an audit reads. It writes nothing.
#[derive(Clone)]
pub struct Sources {
    pub(super) store: Arc<dyn Store>,
    pub(super) queues: Arc<dyn Queues>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) tables: Tables,
    pub(super) lanes: Vec<Lane>,
    pub(super) watched: Vec<Watched>,
}

impl std::fmt::Debug for Sources {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources")
            .field("tables", &self.tables)
            .field("lanes", &self.lanes)
            .finish_non_exhaustive()
    }
}

const LANES: [(&str, &str); 2] = [("express", "Express"), ("standard", "Standard")];

impl Sources {
    /// The tables and queues among a stack's resources.
    ///
    /// # Errors
    /// [`Error::Stack`] names the resource that is missing.
    pub fn of_resources(sdk: &SdkConfig, resources: &StackResources) -> Result<Self, Error> {
        let tables = Tables {
            events: Table::events(resources.table("EventsTable")?),
            marks: Table::marks(resources.table("MarksTable")?),
            member: Table::domain(resources.table("MemberTable")?),
            cloud: Table::domain(resources.table("CloudTable")?),
            notifications: Table::domain(resources.table("NotificationsTable")?),
            analytics: Table::domain(resources.table("AnalyticsTable")?),
            wallet: Table::domain(resources.table("WalletTable")?),
            settlement: Table::domain(resources.table("SettlementTable")?),
            feed: Table::domain(resources.table("FeedTable")?),
        };
        let mut lanes = Vec::new();
        for queue in resources.queues() {
            for (name, word) in LANES {
                let Some(consumer) = queue.strip_suffix(&format!("{word}Queue")) else {
                    continue;
                };
                let letters = format!("{consumer}{word}DeadLetterQueue");
                lanes.push(Lane {
                    consumer: consumer.to_owned(),
                    name,
                    url: resources.queue(queue)?.to_owned(),
                    letters_url: resources.queue(&letters)?.to_owned(),
                });
            }
        }
        Ok(Self::new(
            Arc::new(DynamoStore::new(aws::dynamodb(sdk))),
            Arc::new(SqsQueues::new(aws_sdk_sqs::Client::new(sdk))),
            Arc::new(SystemClock),
            tables,
            lanes,
        ))
    }

    /// The same for a stack by name.
    ///
    /// # Errors
    /// [`Error::Stack`] when the stack's resources cannot be listed, or it is none of Millrace's.
    pub async fn of_stack(sdk: &SdkConfig, stack: &str) -> Result<Self, Error> {
        Self::of_resources(sdk, &StackResources::of_stack(sdk, stack).await?)
    }

    /// The lanes of every consumer, with their dead-letter queues.
    #[must_use]
    pub fn lanes(&self) -> &[Lane] {
        &self.lanes
    }

    /// Any store and queues, such as those in memory.
    #[must_use]
    pub fn new(
        store: Arc<dyn Store>,
        queues: Arc<dyn Queues>,
        clock: Arc<dyn Clock>,
        tables: Tables,
        lanes: Vec<Lane>,
    ) -> Self {
        Self {
            store,
            queues,
            clock,
            tables,
            lanes,
            watched: watched(),
        }
    }

    /// Looks at a lane of your own, too, such as one outside the stack.
    #[must_use]
    pub fn with_lane(mut self, lane: Lane) -> Self {
        self.lanes.push(lane);
        self
    }

    /// Looks at a consumer of your own, too; its evidence must not be a guard.
    #[must_use]
    pub fn watching<H: Handler>(mut self) -> Self {
        self.watched.push(Watched::new(
            H::NAME,
            <H::Event as events::Subscription>::SELECTION,
        ));
        self
    }
}
