//! `event-ingest`: accepts events from other systems, over HTTP and by invocation.

use std::sync::Arc;

use event_ingest::{direct::Invoked, ingest::Ingest, router};
use host::{Api, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Api::start(topology::functions::event_ingest::FUNCTION.name).await?;
    let ingest = Arc::new(Ingest::new(host.outbox(), host.table("INGEST_TABLE")?));
    let router = router::routes().router(Arc::clone(&ingest), &host.keys());
    host.run_with(router, Invoked::new(ingest)).await
}
