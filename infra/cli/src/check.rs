//! `millrace audit`: runs the conservation audit on a deployed stack.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::Args;
use outbox::chain;

use crate::{
    audit::{self, Error, Options, Progress, Report, Sources},
    names::aggregate,
    output::{self, CliError},
    place::Place,
    span,
};

/// How often an audit reports its progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Exit status: something is wrong.
const FINDINGS: u8 = 1;

/// Exit status: the audit could not be done, so nothing is known.
const NOT_AUDITED: u8 = 2;

/// Check that every event was delivered and handled once, and that stored state agrees with the event log
///
/// Reads the event log, the marks, the books and the dead letters of a stack, and lists every event that is lost, late,
/// doubled, out of sequence, stuck, parked or unreadable, with the place where it stopped. Writes nothing.
///
/// Exit status: 0 clean, 1 something is wrong, 2 the audit could not be done.
///
/// Needs cloudformation:ListStackResources on the stack (not with --resources), dynamodb:Scan, Query and BatchGetItem
/// on all tables except the keys table and on the index of the dead letters, sqs:GetQueueAttributes on the lanes, and
/// sqs:GetQueueAttributes, ReceiveMessage and ChangeMessageVisibility on the dead-letter queue. What is still in that
/// queue is hidden from its drainer for the seconds that it is read.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace audit\n  \
    millrace audit --stack millrace-prod --json\n  \
    millrace audit --aggregate cloud_account/ada")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Events younger than this may still be on their way: they are counted, not reported (90s, 5m, 1h; a bare number:
    /// seconds)
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    grace: Duration,
    /// Nothing is on its way (no traffic, empty lanes): report every event that is not handled, however young
    #[arg(long)]
    settled: bool,
    /// A new consumer's rule follows its lanes by up to this time: unhandled events published in it count as older than
    /// the consumer and are not reported
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    start_up: Duration,
    /// Items read per second, all tables together
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only this aggregate; may be given several times. Totals over all aggregates are then not checked
    #[arg(long = "aggregate", value_name = "TYPE/ID", value_parser = aggregate)]
    aggregates: Vec<(String, String)>,
}

pub(crate) fn span_or_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_secs)
        .or_else(|_| span::parse(text))
}

async fn sources(arguments: &Arguments) -> Result<Sources, CliError> {
    let (sdk, resources) = arguments.place.open().await?;
    Ok(Sources::of_resources(&sdk, &resources)?)
}

async fn audited(arguments: &Arguments) -> Result<Report, CliError> {
    let sources = sources(arguments).await?;
    let options = Options {
        grace: arguments.grace,
        settled: arguments.settled,
        start_up: arguments.start_up,
        items_per_second: arguments.rate,
        scope: arguments.aggregates.clone(),
    };
    let mut reported_at = Instant::now();
    let mut tell = |progress: Progress| {
        if reported_at.elapsed() >= REPORT_EVERY {
            reported_at = Instant::now();
            output::note(&format!(
                "{}: {} events, {} items read, {} findings",
                progress.stage, progress.events, progress.items_read, progress.findings
            ));
        }
    };
    tokio::select! {
        report = audit::audit(&sources, &options, &mut tell) => Ok(report?),
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            Err(Box::new(Error::Interrupted))
        }
    }
}

fn print(report: &Report, arguments: &Arguments) -> Result<(), CliError> {
    if arguments.json {
        output::result(report)
    } else {
        output::text(&report.to_string())
    }
}

pub(crate) async fn run(arguments: Arguments) -> ExitCode {
    let outcome = match audited(&arguments).await {
        Ok(report) => print(&report, &arguments).map(|()| report.clean),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(failure) => {
            output::note(&format!(
                "millrace: the audit could not be done: {}",
                chain(&*failure)
            ));
            ExitCode::from(NOT_AUDITED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_grace_period_may_be_bare_seconds() {
        assert_eq!(span_or_seconds("300"), Ok(Duration::from_secs(300)));
        assert_eq!(span_or_seconds("5m"), Ok(Duration::from_secs(300)));
        assert!(span_or_seconds("5").is_ok());
        assert!(span_or_seconds("-5").is_err());
        assert!(span_or_seconds("").is_err());
    }
}
