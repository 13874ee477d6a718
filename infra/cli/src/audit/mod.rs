//! The conservation audit: checks that every event was delivered and handled once, and that stored state agrees with
//! the event log.

mod letters;
mod report;
mod sources;
mod walk;

use std::time::Duration;

// The crate in which the consumers' evidence is declared.
use ::evidence;
pub use evidence::{CheckedConsumer, checked_consumers};
pub use letters::{Peeked, Queues, SqsQueues};
pub use report::{
    BeforeConsumer, Counts, DomainReport, Figure, Finding, Kind, LaneSeen, Leftover, LettersSeen,
    Report,
};
pub use sources::{AuditTables, Lane, Sources};

use crate::resources::UnknownResources;

/// What to audit, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// Younger events may still be on their way: they are counted, not reported.
    pub grace: Duration,
    /// Nothing may be on its way: every event that is not handled is a finding, however young.
    pub settled: bool,
    /// How long setting up a consumer may take. An event published within this time after the consumer's lanes were
    /// created may not have reached it, because its rule did not exist yet. Such an event counts as older than the
    /// consumer and is not reported.
    pub start_up: Duration,
    /// Items read per second, all tables together; at least 1.
    pub items_per_second: u32,
    /// Only these aggregates, as (type, id). Empty: all aggregates, and the totals over them.
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

/// The progress of an audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// What is being read.
    pub stage: &'static str,
    /// Events of the log read so far.
    pub events: u64,
    /// Items of all tables read so far.
    pub items_read: u64,
    /// Findings so far.
    pub findings: usize,
}

/// Why an audit could not be done.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The stack's resources cannot be read, or one is missing.
    #[error(transparent)]
    Stack(#[from] UnknownResources),
    /// A table or queue could not be read.
    #[error(transparent)]
    Read(#[from] outbox::Error),
    /// The operator interrupted it.
    #[error("interrupted")]
    Interrupted,
}

impl From<outbox::Fault> for Error {
    fn from(fault: outbox::Fault) -> Self {
        Self::Read(fault.into())
    }
}

/// Audits a stack. Reads only. `progress` is called after each page.
///
/// # Errors
/// [`Error`] if something could not be read. The audit then has no result.
pub async fn audit(
    sources: &Sources,
    options: &Options,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Report, Error> {
    walk::run(sources, options, progress).await
}
