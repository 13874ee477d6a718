//! `notifications-sender`: a scheduled job, started once a minute.

use std::sync::Arc;

use host::{Error, Job};
use mail::SesMailer;
use notifications_sender::{
    config::Config,
    job::{Pace, Sender},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Job::start(topology::functions::notifications_sender::FUNCTION.name).await?;
    let config = Config::from_env(host.env(), host.settings())?;
    let outbox = host.outbox_without_log()?;
    let mailer = SesMailer::new(host.sdk(), config.email_sender, Pace::SENDING);
    let sender = Sender::new(
        outbox.clone(),
        Arc::new(mailer),
        config.table,
        config.writer,
        config.pace,
    );
    host.run(sender, outbox).await
}
