//! `cloud-reconcile`: a scheduled job.

use cloud_reconcile::{config::Config, job::Reconcile};
use host::{Error, Job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::cloud_reconcile::FUNCTION.name).await?;
    let config = Config::from_env(host.env(), host.settings())?;
    let outbox = host.outbox()?;
    let (reader, limits) = (config.reader()?, config.limits());
    let job = Reconcile::new(outbox.clone(), config.cloud, reader, limits);
    host.run(job, outbox).await
}
