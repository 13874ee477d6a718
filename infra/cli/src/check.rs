//! `millrace audit`: the conservation audit of a deployed stack.

use std::{
    process::ExitCode,
    time::{Duration, Instant},
};

use clap::{ArgGroup, Args};
use outbox::chain;

use crate::{
    audit::{self, Error, Options, Progress, Report, Sources},
    output::{self, Failure},
    resources::Place,
    span,
};

/// How often an audit says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// Something is wrong.
const FINDINGS: u8 = 1;

/// Nothing is known.
const NOT_AUDITED: u8 = 2;

/// Reads the event log, the marks, the books and the letters of a stack, and names every event that is lost, late, doubled,
/// out of sequence, stuck, parked or unreadable, and where it stopped. Writes nothing.
///
/// Exit status: 0 clean, 1 something is wrong, 2 the audit could not be made.
///
/// Needs cloudformation:ListStackResources on the stack (not with --resources), dynamodb:Scan, Query and BatchGetItem on its
/// tables but the keys', sqs:GetQueueAttributes on its lanes, and on their dead-letter queues sqs:GetQueueAttributes,
/// ReceiveMessage and ChangeMessageVisibility: letters are looked at, hidden from others meanwhile, and given back.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
    /// What is younger (90s, 5m, 1h; a bare number: seconds) may still be on its way: it is counted, and no finding.
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    grace: Duration,
    /// Nothing is on its way any more (no traffic, lanes drained): whatever is not handled is a finding, however young.
    #[arg(long)]
    settled: bool,
    /// How long after its lanes were made a consumer may not be reached yet (its rule comes later): what is published in that
    /// time and not handled is counted as before the consumer, and no finding.
    #[arg(long, default_value = "5m", value_parser = span_or_seconds)]
    start_up: Duration,
    /// Items read per second, of all tables together.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only this aggregate, `type/id`; may be given several times. Sums over all are not checked then.
    #[arg(long = "aggregate", value_parser = aggregate)]
    aggregates: Vec<(String, String)>,
}

pub(crate) fn span_or_seconds(text: &str) -> Result<Duration, String> {
    text.parse()
        .map(Duration::from_secs)
        .or_else(|_| span::parse(text))
}

pub(crate) fn aggregate(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => {
            Ok((kind.to_owned(), id.to_owned()))
        }
        _ => Err("type/id, e.g. cloud_account/member-1".to_owned()),
    }
}

async fn sources(arguments: &Arguments) -> Result<Sources, Failure> {
    let sdk = aws::sdk_config().await;
    let resources = arguments.place.find(&sdk).await?;
    Ok(Sources::of_resources(&sdk, &resources)?)
}

async fn audited(arguments: &Arguments) -> Result<Report, Failure> {
    let sources = sources(arguments).await?;
    let options = Options {
        grace: arguments.grace,
        settled: arguments.settled,
        start_up: arguments.start_up,
        items_per_second: arguments.rate,
        scope: arguments.aggregates.clone(),
    };
    let mut told = Instant::now();
    let mut tell = |progress: Progress| {
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
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

fn print(report: &Report, arguments: &Arguments) -> Result<(), Failure> {
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
            output::note(&format!("millrace: could not audit: {}", chain(&*failure)));
            ExitCode::from(NOT_AUDITED)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_aggregate_is_a_type_and_an_id_and_a_grace_period_may_be_bare_seconds() {
        let pair = |kind: &str, id: &str| Ok((kind.to_owned(), id.to_owned()));
        assert_eq!(aggregate("cloud_account/m-1"), pair("cloud_account", "m-1"));
        assert_eq!(aggregate("member/a/b"), pair("member", "a/b"));
        for text in ["", "member", "/m", "member/"] {
            assert!(aggregate(text).is_err(), "{text}");
        }
        assert_eq!(span_or_seconds("300"), Ok(Duration::from_secs(300)));
        assert_eq!(span_or_seconds("5m"), Ok(Duration::from_secs(300)));
        assert!(span_or_seconds("5").is_ok());
        assert!(span_or_seconds("-5").is_err());
        assert!(span_or_seconds("").is_err());
    }
}
