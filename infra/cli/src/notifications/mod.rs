//! `millrace notifications`: what is told, and what could not be.

mod failed;
mod preview;

use clap::Subcommand;

use crate::output::Failure;

pub use failed::{QueueError, failed_mails, queue_again};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Write every mail, as HTML and as text, from the contracts' samples, with an index: {"out", "written"}.
    Preview(preview::Arguments),
    /// Print the mails that were refused for good, and with --retry queue them again: {"failed", "queued_again"}.
    Failed(failed::Arguments),
}

pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    match command {
        Command::Preview(arguments) => preview::run(&arguments),
        Command::Failed(arguments) => failed::run(arguments).await,
    }
}
