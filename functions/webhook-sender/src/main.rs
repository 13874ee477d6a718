//! `webhook-sender`: a scheduled job.

use std::sync::Arc;

use host::{Error, Job};
use webhook::ClientSettings;
use webhook_sender::{config::Config, job::Sender, post::HttpPost};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::webhook_sender::FUNCTION.name).await?;
    let (config, outbox) = (Config::from_env(host.env())?, host.outbox()?);
    let settings = ClientSettings::new(config.rules);
    let (page, attempt) = (host.settings().page_timeout, settings.timeout);
    let client = Arc::new(HttpPost::new(settings)?);
    let sender = Sender::new(outbox.clone(), client, config.tables, page, attempt);
    host.run(sender, outbox).await
}
