//! `wallet-api`: the wallet endpoints on Lambda.

use std::sync::Arc;

use host::{Api, Error};
use wallet_api::{balances::Balances, config::Config, handler::App, router};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::wallet_api::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let app = App::new(host.outbox(), config.tables, Balances::new(&config.cache));
    let router = router::routes().router(Arc::new(app), &host.keys());
    host.run(router).await
}
