//! `analytics`: drains its express and its standard lane.

use std::sync::Arc;

use analytics::{config::Config, handler::Analytics};
use aws::{DynamoStore, SqsQueue};
use consumer::Runner;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, Table, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("analytics");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    // Emits no events and may not: it has neither the log's name nor a permission on it.
    let (no_log, registry) = (Table::events("none"), Arc::new(Registry::shipped()));
    let outbox = Outbox::new(store, Arc::new(SystemClock), registry, no_log, config.marks);
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
    let handler = Analytics::new(config.table);
    let runner = Runner::new(handler, outbox, queue, config.consumer.settings);
    consumer::queue::run(runner, config.consumer.lanes).await
}
