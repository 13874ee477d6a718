//! `wallet-api`: the wallet endpoints on Lambda.

use std::sync::Arc;

use api::Keys;
use aws::DynamoStore;
use events::Registry;
use lambda_http::Error;
use outbox::{Outbox, RetryLimits, SystemClock, env::Env};
use wallet_api::{balances::Balances, config::Config, handler::App, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("wallet-api");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let keys = Keys::new(store.clone(), config.keys);
    let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
    let outbox = Outbox::new(store, clock, registry, config.events, config.marks)
        .with_limits(RetryLimits::for_callers());
    let app = App::new(outbox, config.tables, Balances::new(&config.cache));
    api::run(router::routes().router(Arc::new(app), &keys)).await
}
