//! `activity-feed`: consumes its express lane.

use activity_feed::handler::ActivityFeed;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::activity_feed::FUNCTION.name).await?;
    let handler = ActivityFeed::new(host.table("ACTIVITY_TABLE")?);
    let outbox = host.outbox_without_log()?;
    host.run(handler, outbox).await
}
