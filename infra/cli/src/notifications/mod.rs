//! `millrace notifications`: previews of mails and notices, and the mails that SES refused.

mod failed;
mod preview;

use clap::Subcommand;

use crate::output::CliError;

pub use failed::{QueueError, failed_mails, queue_again};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Preview(preview::Arguments),
    Failed(failed::Arguments),
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Preview(arguments) => preview::run(&arguments),
        Command::Failed(arguments) => failed::run(arguments).await,
    }
}
