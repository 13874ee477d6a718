//! `operator-worker`: a scheduled job.

use std::sync::Arc;

use aws::EventBridgePublisher;
use host::{Error, Job};
use mappings::LambdaMappings;
use operator_worker::{config::Config, job::Redrive, lanes::SqsLanes};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::operator_worker::FUNCTION.name).await?;
    let (config, outbox) = (Config::from_env(host.env())?, host.outbox()?);
    let lanes = Arc::new(SqsLanes::new(aws::sqs(host.sdk()), config.stack.clone()));
    let mappings = Arc::new(LambdaMappings::new(host.sdk()));
    let bus = EventBridgePublisher::new(aws::eventbridge(host.sdk()), config.bus_name.clone());
    let job = Redrive::new(outbox.clone(), lanes, mappings, Arc::new(bus), config)?;
    host.run(job, outbox).await
}
