//! `outbox-relay`: the event log's stream → the bus.

use std::sync::Arc;

use aws::{DynamoStore, EventBridgePublisher};
use lambda_runtime::Error;
use outbox::{SystemClock, env::Env, relay::Relay};
use outbox_relay::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("outbox-relay");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let bus = EventBridgePublisher::new(aws::eventbridge(&sdk), config.bus_name);
    let store = DynamoStore::new(aws::dynamodb(&sdk));
    let clock = Arc::new(SystemClock);
    let relay = Relay::new(
        Arc::new(bus),
        Arc::new(store),
        config.events,
        clock,
        config.settings,
    );
    consumer::stream::run(relay, config.stage).await
}
