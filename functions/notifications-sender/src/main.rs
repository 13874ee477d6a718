//! `notifications-sender`: started by its schedule, once a minute.

use std::sync::Arc;

use aws::DynamoStore;
use consumer::schedule::{self, Runner};
use events::Registry;
use lambda_runtime::Error;
use mail::SesMailer;
use notifications_sender::{
    config::Config,
    job::{Pace, Sender},
};
use outbox::{Outbox, SystemClock, Table, env::Env};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Error> {
    telemetry::init("notifications-sender");
    let config = Config::from_env(&Env::process())?;
    let sdk = aws::sdk_config().await;
    let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    // Emits no events and may not: it has neither the log's name nor a permission on it.
    let (no_log, registry) = (Table::events("none"), Arc::new(Registry::shipped()));
    let outbox = Outbox::new(store, Arc::new(SystemClock), registry, no_log, config.marks);
    let mailer = Arc::new(SesMailer::new(&sdk, config.email_sender, Pace::SENDING));
    let sender = Sender::new(
        outbox.clone(),
        mailer,
        config.table,
        config.writer,
        config.pace,
    );
    schedule::run(Runner::new(sender, outbox, config.schedule)).await
}
