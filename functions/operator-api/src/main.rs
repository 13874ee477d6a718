//! `operator-api`: dead letters on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use operator_api::{config::Config, handler::App, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::operator_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let app = App::new(host.outbox(), config.letters, config.evidence);
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
