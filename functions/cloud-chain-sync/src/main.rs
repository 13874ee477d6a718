//! `cloud-chain-sync`: consumes its express and standard lanes.

use cloud_chain_sync::{config::Config, handler::ChainSync};
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::cloud_chain_sync::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox_without_log()?;
    let handler = ChainSync::new(outbox.clone(), config.cloud, config.chain);
    host.run(handler, outbox).await
}
