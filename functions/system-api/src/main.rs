//! `system-api`: health, the OpenAPI document, the event log, the contracts, analytics and the API keys.

use host::{Api, Error};
use system_api::{config::Config, health::Health, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::system_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let (bus, queue) = (aws::eventbridge(host.sdk()), aws::sqs(host.sdk()));
    let health = Health::new()
        .with("dynamodb", host.keys())
        .with("eventbridge", (bus, config.bus_name))
        .with("sqs", (queue, config.health_queue_url));
    let (outbox, keys) = (host.outbox(), host.keys());
    let app = router::App::new(outbox, keys, config.tables, health, config.deployment)?;
    host.run(router::router(app)).await
}
