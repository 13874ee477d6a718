//! The conformance suites on the deployed stack's own tables and bus: what the in-memory adapters promise, the real ones
//! must keep.

use std::sync::Arc;

use outbox::{Index, Table, dynamo::DynamoStore, eventbridge::EventBridgePublisher};
use testkit::{
    conformance::{self, Tables},
    stack::{BoxError, Stack},
};

#[tokio::test]
async fn the_dynamodb_store_keeps_the_ports_promises() -> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    let notifications = Table::domain(stack.output("NotificationsTableName")?);
    let admins = Index {
        name: "admins",
        partition: "admin",
        sort: "pk",
    };
    let tables = Tables {
        domain: notifications.clone(),
        // Rows of the log would be relayed: the suite's have no envelope, which the relay reports and leaves alone.
        events: Table::events(stack.output("EventsTableName")?),
        marks: Table::marks(stack.output("MarksTableName")?),
        indexed: Some((notifications, admins)),
    };
    conformance::store(Arc::new(store), tables)
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}

#[tokio::test]
async fn the_eventbridge_publisher_keeps_the_ports_promises() -> Result<(), BoxError> {
    let stack = Stack::connect().await?;
    let client = aws_sdk_eventbridge::Client::new(stack.sdk());
    let publisher = EventBridgePublisher::new(client, stack.output("EventBusName")?.to_owned());
    conformance::publisher(Arc::new(publisher))
        .await
        .map_err(|failures| format!("{failures:#?}").into())
}
