//! `millrace audit-log`: verifies the audit log of a deployed stack.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{Args, Subcommand};
use outbox::chain;

use crate::{
    audit::Error,
    audit_log::{self, Options, Progress, Report, Sources},
    check::span_or_seconds,
    names::aggregate,
    output::{self, CliError},
    place::Place,
};

/// How often a check reports its progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Exit status: something is wrong.
const FINDINGS: u8 = 1;

/// Exit status: the log could not be verified, so nothing is known.
const NOT_VERIFIED: u8 = 2;

/// The verbs of the audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Verify(Arguments),
}

/// Check whether anything in the audit log or the event log was changed, removed or inserted
///
/// Walks every chain of the audit log and lists every entry that was changed, is missing, was inserted or cut off,
/// every forged anchor, and every row of the event log that differs from its entry. Writes nothing.
///
/// Exit status: 0 clean, 1 something is wrong, 2 it could not be verified.
///
/// Needs cloudformation:ListStackResources on the stack (not with --resources), dynamodb:Query and GetItem on the audit
/// table, dynamodb:Scan, Query and BatchGetItem on the events table, and kms:VerifyMac on the key.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace audit-log verify --stack millrace-prod --newest-anchor 8760\n  \
    millrace audit-log verify --aggregate wallet_account/user-ada")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// Events younger than this may still be on their way into their chains (90s, 5m, 1h; a bare number: seconds)
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    grace: Duration,
    /// Items read per second, both tables together
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only the chain of this aggregate; may be given several times. Anchors are checked in any case
    #[arg(long = "aggregate", value_name = "TYPE/ID", value_parser = aggregate)]
    aggregates: Vec<(String, String)>,
    /// The number of the newest anchor that an earlier check printed. If the newest one now has a lower number, anchors
    /// were removed
    #[arg(long)]
    newest_anchor: Option<u64>,
    /// The ARN of the key that sealed the anchors, if the stack was given one (its output AuditKeyArn). Default: the
    /// stack's own
    #[arg(long, value_name = "ARN")]
    key: Option<String>,
}

async fn sources(arguments: &Arguments) -> Result<Sources, CliError> {
    let (sdk, resources) = arguments.place.open().await?;
    Ok(Sources::of_resources(
        &sdk,
        &resources,
        arguments.key.as_deref(),
    )?)
}

async fn verified(arguments: &Arguments) -> Result<Report, CliError> {
    let sources = sources(arguments).await?;
    let options = Options {
        grace: arguments.grace,
        items_per_second: arguments.rate,
        scope: arguments.aggregates.clone(),
        newest_anchor: arguments.newest_anchor,
    };
    let mut reported_at = Instant::now();
    let mut tell = |progress: Progress| {
        if reported_at.elapsed() >= REPORT_EVERY {
            reported_at = Instant::now();
            output::note(&format!(
                "{}: {} chains, {} entries, {} items read, {} findings",
                progress.stage,
                progress.counts.chains,
                progress.counts.entries,
                progress.counts.items_read,
                progress.findings
            ));
        }
    };
    tokio::select! {
        report = audit_log::verify(&sources, &options, &mut tell) => Ok(report?),
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

pub(crate) async fn run(command: Command) -> ExitCode {
    let Command::Verify(arguments) = command;
    let outcome = match verified(&arguments).await {
        Ok(report) => print(&report, &arguments).map(|()| report.clean),
        Err(failure) => Err(failure),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FINDINGS),
        Err(failure) => {
            output::note(&format!(
                "millrace: the audit log could not be verified: {}",
                chain(&*failure)
            ));
            ExitCode::from(NOT_VERIFIED)
        }
    }
}
