//! `millrace audit-log`: the check of a deployed stack's audit log.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{ArgGroup, Args, Subcommand};
use outbox::chain;

use crate::{
    audit::Error,
    audit_log::{self, Options, Progress, Report, Sources},
    check::{aggregate, span_or_seconds},
    output::{self, Failure},
    resources::Place,
};

/// How often a check says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Something is wrong.
const FINDINGS: u8 = 1;

/// Nothing is known.
const NOT_VERIFIED: u8 = 2;

/// The audit log.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Look whether anything in the audit log or the event log was changed, taken out or slipped in.
    Verify(Arguments),
}

/// Walks every chain of the audit log and names every entry that was changed, is missing, was inserted or cut off, every
/// anchor that is forged, and every row of the event log that is not what its entry holds. Writes nothing.
///
/// Exit status: 0 clean, 1 something is wrong, 2 it could not be verified.
///
/// Needs cloudformation:ListStackResources on the stack (not with --resources), dynamodb:Query and GetItem on the audit table,
/// dynamodb:Scan, Query and BatchGetItem on the events table, and kms:VerifyMac on the key.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// What is younger (90s, 5m, 1h; a bare number: seconds) may still be on its way into its chain.
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    grace: Duration,
    /// Items read per second, of both tables together.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only the chain of this aggregate, `type/id`; may be given several times. Anchors are checked all the same.
    #[arg(long = "aggregate", value_parser = aggregate)]
    aggregates: Vec<(String, String)>,
    /// The number of the newest anchor that an earlier check printed: where the newest one is now an older one, anchors were
    /// taken out.
    #[arg(long)]
    newest_anchor: Option<u64>,
}

async fn sources(arguments: &Arguments) -> Result<Sources, Failure> {
    let sdk = aws::sdk_config().await;
    let resources = arguments.place.find(&sdk).await?;
    Ok(Sources::of_resources(&sdk, &resources)?)
}

async fn verified(arguments: &Arguments) -> Result<Report, Failure> {
    let sources = sources(arguments).await?;
    let options = Options {
        grace: arguments.grace,
        items_per_second: arguments.rate,
        scope: arguments.aggregates.clone(),
        newest_anchor: arguments.newest_anchor,
    };
    let mut told = Instant::now();
    let mut tell = |progress: Progress| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
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

fn print(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
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
            output::note(&format!("millrace: could not verify: {}", chain(&*failure)));
            ExitCode::from(NOT_VERIFIED)
        }
    }
}
