//! `loan-servicing`: consumes its lane.

use host::{Consumer, Error};
use loan_servicing::handler::LoanServicing;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::loan_servicing::FUNCTION.name).await?;
    let outbox = host.outbox()?;
    let handler = LoanServicing::new(outbox.clone(), host.table("LOAN_TABLE")?);
    host.run(handler, outbox).await
}
