//! `system-api`: health, the OpenAPI document, the event log, the contracts, analytics and the API keys.

use std::sync::Arc;

use api::Keys;
use aws::DynamoStore;
use events::Registry;
use outbox::{Outbox, RetryLimits, Store, SystemClock, env::Env};
use system_api::{config::Config, health::Health, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), lambda_http::Error> {
    telemetry::init("system-api");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let registry = Arc::new(Registry::shipped());
    let keys = Keys::new(Arc::clone(&store), config.keys);
    let (clock, log) = (Arc::new(SystemClock), config.events);
    let outbox = Outbox::new(store, clock, registry, log, config.marks)
        .with_limits(RetryLimits::for_callers());
    let health = Health::new()
        .with("dynamodb", keys.clone())
        .with("eventbridge", (aws::eventbridge(&sdk), config.bus_name))
        .with(
            "sqs",
            (aws_sdk_sqs::Client::new(&sdk), config.health_queue_url),
        );
    let app = router::App::new(outbox, keys, config.analytics, config.domains, health)?;
    api::run(router::router(app)).await
}
