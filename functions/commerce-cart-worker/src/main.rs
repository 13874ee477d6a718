//! `commerce-cart-worker`: a scheduled job.

use commerce_cart_worker::job::CartWorker;
use host::{Error, Job};
use outbox::Table;
use topology::functions::{commerce_cart_worker::FUNCTION, commerce_pricing_api::TABLE};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(FUNCTION.name).await?;
    let table = Table::domain(host.env().required(TABLE.setting)?);
    let outbox = host.outbox()?;
    let worker = CartWorker::new(outbox.clone(), table);
    host.run(worker, outbox).await
}
