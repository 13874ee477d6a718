//! `audit-log`: drains its express and its standard lane.

use std::sync::Arc;

use audit_log::{config::Config, handler::AuditLog};
use aws::{DynamoStore, SqsQueue};
use consumer::Runner;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("audit-log");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let registry = Arc::new(Registry::shipped());
    let outbox = Outbox::new(
        store,
        Arc::new(SystemClock),
        registry,
        config.events,
        config.marks,
    );
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
    let handler = AuditLog::new(outbox.clone(), config.audit);
    let runner = Runner::new(handler, outbox, queue, config.consumer.settings);
    consumer::queue::run(runner, config.consumer.lanes).await
}
