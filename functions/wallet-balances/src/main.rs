//! `wallet-balances`: drains its express lane.

use std::sync::Arc;

use aws::{DynamoStore, SqsQueue};
use consumer::Runner;
use events::Registry;
use lambda_runtime::Error;
use outbox::{Outbox, SystemClock, Table, env::Env};
use wallet_balances::{config::Config, handler::WalletBalances};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("wallet-balances");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
    // Emits no events and needs no marks, its rows are the evidence: it has no permission on either.
    let (no_log, no_marks) = (Table::events("none"), Table::marks("none"));
    let outbox = Outbox::new(store, clock, registry, no_log, no_marks);
    let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
    let handler = WalletBalances::new(config.wallet);
    let runner = Runner::new(handler, outbox, queue, config.consumer.settings);
    consumer::queue::run(runner, config.consumer.lanes).await
}
