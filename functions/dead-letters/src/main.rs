//! `dead-letters`: drains the dead-letter queue.

use dead_letters::handler::DeadLetters;
use host::{Drainer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Drainer::start(topology::functions::dead_letters::FUNCTION.name).await?;
    let (outbox, table) = (host.outbox_without_log()?, host.table("LETTERS_TABLE")?);
    host.run(DeadLetters::new(outbox.clone(), table), &outbox)
        .await
}
