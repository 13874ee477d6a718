//! `cloud-treasury`: consumes its express lane.

use cloud_treasury::{config::Config, handler::Treasury};
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::cloud_treasury::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox()?;
    let handler = Treasury::new(outbox.clone(), config.cloud, config.usd_rate);
    host.run(handler, outbox).await
}
