//! `operator-api`: dead letters and the pausing of consumers on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use mappings::LambdaMappings;
use operator_api::{config::Config, handler::App, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::operator_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let mappings = Arc::new(LambdaMappings::new(host.sdk()));
    let app = App::new(host.outbox(), config, mappings);
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
