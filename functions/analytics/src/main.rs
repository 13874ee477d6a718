//! `analytics`: consumes its express and standard lanes.

use analytics::handler::Analytics;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::analytics::FUNCTION.name).await?;
    let handler = Analytics::new(host.table("ANALYTICS_TABLE")?);
    let outbox = host.outbox_without_log()?;
    host.run(handler, outbox).await
}
