//! `cloud-chain-worker`: a scheduled job.

use std::sync::Arc;

use aws::DynamoStore;
use cloud_chain_worker::{config::Config, job::Worker};
use consumer::schedule::{self, Runner};
use ethereum::Reader;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, Table, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("cloud-chain-worker");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    // Emits no events and may not: it has neither the log's name nor a permission on it.
    let (no_log, registry) = (Table::events("none"), Arc::new(Registry::shipped()));
    let (decimals, within) = (config.decimals.number(), config.reading_time);
    let reader = config
        .chain
        .map(|chain| Reader::of_node(&chain, decimals, within));
    let outbox = Outbox::new(store, Arc::new(SystemClock), registry, no_log, config.marks);
    let worker = Worker::new(
        outbox.clone(),
        config.cloud,
        reader.transpose()?,
        config.decimals,
        config.confirm_within,
    );
    schedule::run(Runner::new(worker, outbox, config.schedule)).await
}
