//! `cloud-treasury`: drains its express lane.

use std::sync::Arc;

use aws::{DynamoStore, SqsQueue};
use cloud_treasury::{config::Config, handler::Treasury};
use consumer::Runner;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("cloud-treasury");
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
    let treasury = Treasury::new(outbox.clone(), config.cloud, config.usd_rate);
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
    let runner = Runner::new(treasury, outbox, queue, config.consumer.settings);
    consumer::queue::run(runner, config.consumer.lanes).await
}
