//! `heartbeat`: a scheduled job.

use heartbeat::job::Heartbeats;
use host::{Error, Job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::heartbeat::FUNCTION.name).await?;
    let (outbox, table) = (host.outbox()?, host.table("HEARTBEAT_TABLE")?);
    host.run(Heartbeats::new(outbox.clone(), table), outbox)
        .await
}
