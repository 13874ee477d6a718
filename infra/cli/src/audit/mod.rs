//! The conservation audit: whether every event went all its way once, and whether the books agree with the log.

mod letters;
mod report;
mod sources;
mod walk;

use std::time::Duration;

// Where the consumers' evidence is declared.
use ::evidence;
pub use evidence::{Watched, watched};
pub use letters::{Peeked, Queues, RawLetter, SqsQueues};
pub use report::{
    BeforeConsumer, Counts, DomainReport, Figure, Finding, Kind, LaneSeen, Leftover, Report,
};
pub use sources::{Lane, Sources, Tables};

use crate::resources::UnknownResources;

/// What to look at, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// What is younger may still be on its way: it is counted, and no finding.
    pub grace: Duration,
    /// Nothing may be on its way any more: whatever is not handled is a finding, however young.
    pub settled: bool,
    /// How long setting up a consumer may take: what is published so soon after its lanes were made may not have reached it,
    /// because its rule was not there yet. Counted as before the consumer, and no finding.
    pub start_up: Duration,
    /// Items read per second, of all tables together, at least 1.
    pub items_per_second: u32,
    /// Only these aggregates, as (type, id); empty: all of them, and the sums over all.
    pub scope: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(300),
            settled: false,
            start_up: Duration::from_secs(300),
            items_per_second: 500,
            scope: Vec::new(),
        }
    }
}

/// How far an audit is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being read.
    pub stage: &'static str,
    /// Events of the log that were read so far.
    pub events: u64,
    /// Items of all tables that were read so far.
    pub items_read: u64,
    /// What was found so far.
    pub findings: usize,
}

/// Why an audit could not be made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stack is not known well enough.
    #[error(transparent)]
    Stack(#[from] UnknownResources),
    /// A table or queue could not be read.
    #[error(transparent)]
    Read(#[from] outbox::Error),
    /// Somebody ended it.
    #[error("interrupted")]
    Interrupted,
}

impl From<outbox::Fault> for Error {
    fn from(fault: outbox::Fault) -> Self {
        Self::Read(fault.into())
    }
}

/// Audits a stack. Reads only; `progress` hears after each page.
///
/// # Errors
/// [`Error`] when something could not be read: then nothing is known.
pub async fn audit(
    sources: &Sources,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    walk::run(sources, options, progress).await
}
