//! `cloud-reconcile`: a scheduled job.

use std::sync::Arc;

use aws::DynamoStore;
use cloud_reconcile::{
    config::Config,
    job::{Limits, Reconcile},
};
use consumer::schedule::{self, Runner};
use ethereum::Reader;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("cloud-reconcile");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let (decimals, within) = (config.decimals.number(), config.reading_time);
    let reader = config
        .chain
        .map(|chain| Reader::of_node(&chain, decimals, within));
    let outbox = Outbox::new(
        store,
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        config.events,
        config.marks,
    );
    let limits = Limits {
        decimals: config.decimals,
        rate: config.usd_rate,
        in_flight: config.in_flight,
        unsynced_max: config.unsynced_max,
    };
    let job = Reconcile::new(outbox.clone(), config.cloud, reader.transpose()?, limits);
    schedule::run(Runner::new(job, outbox, config.schedule)).await
}
