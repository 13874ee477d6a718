//! `cloud-api`: the cloud endpoints on Lambda.

use std::sync::Arc;

use api::Keys;
use aws::DynamoStore;
use cloud_api::{config::Config, handler::App, router};
use events::Registry;
use lambda_http::Error;
use outbox::{Outbox, RetryLimits, SystemClock, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("cloud-api");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let keys = Keys::new(store.clone(), config.keys);
    let registry = Arc::new(Registry::shipped());
    let outbox = Outbox::new(
        store,
        Arc::new(SystemClock),
        registry,
        config.events,
        config.marks,
    )
    .with_limits(RetryLimits::for_callers());
    let app = App::new(
        outbox,
        config.cloud,
        config.members,
        config.rate,
        config.shares,
    );
    api::run(router::routes().router(Arc::new(app), &keys)).await
}
