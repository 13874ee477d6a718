//! `commerce-stock`: consumes its lanes.

use commerce_stock::handler::CommerceStock;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::commerce_stock::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = CommerceStock::new(outbox.clone(), host.table("COMMERCE_TABLE")?);
    host.run(handler, outbox).await
}
