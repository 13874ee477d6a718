//! `heartbeat-arrival`: consumes its express lane.

use heartbeat_arrival::handler::HeartbeatArrival;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::heartbeat_arrival::FUNCTION.name).await?;
    let outbox = host.outbox_without_log()?;
    host.run(HeartbeatArrival, outbox).await
}
