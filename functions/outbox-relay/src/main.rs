//! `outbox-relay`: publishes the event log's stream to the bus.

use std::sync::Arc;

use aws::EventBridgePublisher;
use host::{Error, Function};
use outbox::{SystemClock, relay::Relay};
use outbox_relay::config::Config;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Function::start(topology::functions::outbox_relay::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let bus = EventBridgePublisher::new(aws::eventbridge(host.sdk()), config.bus_name);
    let clock = Arc::new(SystemClock);
    let relay = Relay::new(
        Arc::new(bus),
        host.store(),
        config.events,
        clock,
        config.settings,
    );
    consumer::stream::run(relay, config.stack).await
}
