//! `commerce-orders`: consumes its lanes.

use commerce_orders::handler::CommerceOrders;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::commerce_orders::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = CommerceOrders::new(outbox.clone(), host.table("COMMERCE_TABLE")?);
    host.run(handler, outbox).await
}
