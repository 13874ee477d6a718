//! `commerce-credit`: consumes its lanes.

use commerce_credit::handler::CommerceCredit;
use host::{Consumer, Error};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::commerce_credit::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = CommerceCredit::new(outbox.clone(), host.table("COMMERCE_TABLE")?);
    host.run(handler, outbox).await
}
