//! `commerce-order-timer`: a scheduled job.

use commerce_order_timer::{config::Config, job::OrderTimer};
use host::{Error, Job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::commerce_order_timer::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox()?;
    let timer = OrderTimer::new(outbox.clone(), config.table, config.patience);
    host.run(timer, outbox).await
}
