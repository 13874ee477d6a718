//! `notifications`: consumes its express and standard lanes.

use std::sync::Arc;

use host::{Consumer, Error};
use mail::SesMailer;
use notifications::{config::Config, handler::Notifications};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    let host = Consumer::start(topology::functions::notifications::FUNCTION.name).await?;
    let config = Config::from_env(host.env())?;
    let outbox = host.outbox_without_log()?;
    let sending = Notifications::sending_time(host.settings().record_timeout);
    let mailer = SesMailer::new(host.sdk(), config.email_sender, sending);
    let handler = Notifications::new(
        outbox.clone(),
        Arc::new(mailer),
        config.table,
        config.writer,
        sending,
        config.redeemed_note_from,
    );
    host.run(handler, outbox).await
}
