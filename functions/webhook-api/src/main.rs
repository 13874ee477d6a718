//! `webhook-api`: endpoints of webhooks on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use webhook_api::{config::Config, handler::App, reach::NetworkReach, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::webhook_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let reach = NetworkReach::new(config.rules.clone())?;
    let app = App::new(host.outbox(), config, Arc::new(reach));
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
