//! `cloud-chain-worker`: a scheduled job.

use cloud_chain_worker::{config::Config, job::Worker};
use host::{Error, Job};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::cloud_chain_worker::FUNCTION.name).await?;
    let config = Config::from_env(host.env(), host.settings())?;
    let (outbox, reader) = (host.outbox_without_log()?, config.reader()?);
    let worker = Worker::new(
        outbox.clone(),
        config.cloud,
        reader,
        config.decimals,
        config.confirm_within,
    );
    host.run(worker, outbox).await
}
