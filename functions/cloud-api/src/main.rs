//! `cloud-api`: the cloud endpoints on Lambda.

use std::sync::Arc;

use cloud_api::{config::Config, handler::App, router};
use host::{Api, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::cloud_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let app = App::new(
        host.outbox(),
        config.cloud,
        config.members,
        config.rate,
        config.shares,
    );
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
