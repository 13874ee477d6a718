//! Runs the conformance suites on the tables and the bus of the deployed stack. The real adapters must do what the
//! in-memory adapters do.

use std::{sync::Arc, time::Duration};

use aws::{DynamoStore, EventBridgePublisher};
use consumer::{
    Failure,
    schedule::{self, Ending, Job, JobRunner, Next, Paged, Settings},
};
use outbox::{Clock, Index, Outbox, Query, SystemClock, Table, Transaction};
use testkit::{
    conformance::{self, TestTables},
    stack::{BoxError, Stack},
};

fn tables(stack: &Stack) -> Result<TestTables, BoxError> {
    let notifications = Table::domain(stack.resource("NotificationsTable")?);
    let admins = Index {
        name: "admins",
        partition: "admin",
        sort: "pk",
    };
    Ok(TestTables {
        domain: notifications.clone(),
        // The stack's relay sees these rows of the event log. The store's suite writes rows without an envelope, which
        // the relay reports and leaves as they are. The runtime's suite writes events of a type that no rule matches.
        events: Table::events(stack.resource("EventsTable")?),
        marks: Table::marks(stack.resource("MarksTable")?),
        indexed: Some((notifications, admins)),
    })
}

#[tokio::test]
async fn the_dynamodb_store_keeps_the_ports_promises() -> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    conformance::store(Arc::new(store), tables(&stack)?)
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}

#[tokio::test]
async fn cursors_on_dynamodb_keep_what_in_order_consumers_stand_on() -> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    conformance::cursors(Arc::new(store), tables(&stack)?)
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}

#[tokio::test]
async fn an_in_order_consumer_on_dynamodb_handles_each_event_once_and_in_order()
-> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    conformance::in_order(Arc::new(store), tables(&stack)?)
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}

/// A job of three pages. Each page adds one to a row of its own.
struct Counting {
    table: Table,
    run: String,
}

#[async_trait::async_trait]
impl Job for Counting {
    const NAME: &'static str = "conformance-counting";
    type Cursor = u64;

    async fn page(
        &self,
        cursor: Option<&u64>,
        mut transaction: Transaction,
    ) -> Result<Paged<u64>, Failure> {
        let page = cursor.copied().unwrap_or(0);
        let key = self.table.key(&self.run, format!("page#{page}"));
        transaction.add(key, vec![("count", 1.into())]);
        let next = if page < 2 {
            Next::From(page + 1)
        } else {
            Next::End
        };
        Ok(Paged::new(transaction, next).count("pages", 1))
    }
}

#[tokio::test]
async fn of_many_runs_of_a_job_at_once_one_acts_and_the_next_one_begins_anew()
-> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let client = aws_sdk_dynamodb::Client::new(stack.sdk());
    let outbox = Outbox::new(
        Arc::new(DynamoStore::new(client)),
        Arc::new(SystemClock),
        Arc::new(events::Registry::shipped()),
        Table::events(stack.resource("EventsTable")?),
        Table::marks(stack.resource("MarksTable")?),
    );
    let table = Table::domain(stack.resource("NotificationsTable")?);
    let run = format!("conformance-job#{}", uuid::Uuid::new_v4());
    let runner = || {
        let (table, run) = (table.clone(), run.clone());
        JobRunner::new(Counting { table, run }, outbox.clone(), Settings::default())
    };
    let deadline = SystemClock.now().plus(Duration::from_secs(60));
    let runners: Vec<_> = (0..8).map(|_| runner()).collect();
    let runs = runners.iter().map(|runner| runner.run(deadline));
    let mut acted = 0;
    for report in futures::future::join_all(runs).await {
        match report?.outcome {
            Ending::Finished => acted += 1,
            Ending::Busy => {}
            other => return Err(format!("a run ended as {}", other.as_str()).into()),
        }
    }
    assert!(acted > 0);
    let last = runner().run(deadline).await?;
    assert_eq!((last.outcome, last.pages), (Ending::Finished, 3));
    let query = Query::partition(&table, run.as_str(), 10);
    let (rows, _) = outbox.rows::<serde_json::Value>(&query).await?;
    let counts: Vec<u64> = rows
        .iter()
        .filter_map(|row| row["count"].as_u64())
        .collect();
    assert_eq!(counts, [acted + 1; 3], "every pass wrote every page once");
    let records = schedule::runs(outbox.store(), outbox.marks_table()?, Counting::NAME, 2).await?;
    assert_eq!(records[0].outcome, Some(Ending::Finished));
    assert_eq!(records[0].counts["pages"], 3);
    Ok(())
}

#[tokio::test]
async fn the_eventbridge_publisher_keeps_the_ports_promises() -> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let client = aws_sdk_eventbridge::Client::new(stack.sdk());
    let publisher = EventBridgePublisher::new(client, stack.resource("EventBus")?.to_owned());
    conformance::publisher(Arc::new(publisher))
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}
