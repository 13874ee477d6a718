//! `commerce-carts`: consumes its lanes.

use commerce_carts::handler::CommerceCarts;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::commerce_carts::FUNCTION.name).await?;
    let outbox = host.outbox_without_log()?;
    let handler = CommerceCarts::new(outbox.clone(), host.table("COMMERCE_TABLE")?);
    host.run(handler, outbox).await
}
