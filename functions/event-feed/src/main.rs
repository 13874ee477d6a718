//! `event-feed`: consumes its express and standard lanes.

use event_feed::handler::EventFeed;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::event_feed::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let life = event_feed::life(host.env())?;
    let handler = EventFeed::new(outbox.clone(), host.table("EVENT_FEED_TABLE")?, life);
    host.run(handler, outbox).await
}
