//! `commerce-catalog`: consumes its lanes.

use commerce_catalog::handler::CommerceCatalog;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::commerce_catalog::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = CommerceCatalog::new(outbox.clone(), host.table("COMMERCE_TABLE")?);
    host.run(handler, outbox).await
}
