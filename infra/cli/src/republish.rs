//! `millrace republish`: walks the event log and publishes the events that are still pending.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use api::CursorToken;
use aws::{DynamoStore, EventBridgePublisher};
use clap::Args;
use outbox::{
    Cursor, Store, SystemClock, Table, chain,
    relay::{Relay, Settings},
    republish::{Counts, Options, republish},
};
use serde::Serialize;

use crate::{
    output::{self, CliError},
    place::{Names, Place},
    span,
};

/// How often a walk reports its progress.
const REPORT_EVERY: Duration = Duration::from_secs(2);

/// Publish events that are still pending after an outage longer than the stream remembers (24 hours)
///
/// The walk reads every row of the event log, published ones too: about 262,144 read units per GB. Consumers ignore
/// events that arrive twice. Ctrl-C and every error end the walk with its `next`, from which --resume continues. Needs
/// dynamodb:Scan, BatchWriteItem and PutItem on the events table, events:PutEvents on the bus, and
/// cloudformation:ListStackResources on the stack (not with --table or --resources). `millrace operations republish` has the
/// stack's own job do it, which needs no such rights and is recorded.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace republish --stack millrace-prod\n  \
    millrace republish --stack millrace-prod --include-failed --limit 100")]
pub(crate) struct Arguments {
    /// The events table, instead of a stack, together with --bus. Default: EVENTS_TABLE, if BUS_NAME is set too and the
    /// command line names no stack
    #[arg(
        long,
        value_name = "NAME",
        requires = "bus",
        help_heading = "Which stack"
    )]
    table: Option<String>,
    /// The bus, together with --table. Default: BUS_NAME
    #[arg(
        long,
        value_name = "NAME",
        requires = "table",
        help_heading = "Which stack"
    )]
    bus: Option<String>,
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    _output: output::AlwaysJson,
    /// Rows read per second, published ones included
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only events committed at least this long ago (90s, 30m, 24h, 7d): the relay still gets younger ones from the
    /// stream
    #[arg(long, default_value = "24h", value_parser = span::parse)]
    older_than: Duration,
    /// Continue an earlier walk: the value of its `next`
    #[arg(long)]
    resume: Option<String>,
    /// Also publish events that the bus refused permanently. Fix the cause first
    #[arg(long)]
    include_failed: bool,
    /// Publish at most this many events
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// The result of a walk, on standard output.
#[derive(Debug, Serialize)]
struct Walk {
    /// Whether the walk reached the end of the log.
    complete: bool,
    pages: u64,
    published: u64,
    recorded: u64,
    refused: u64,
    too_young: u64,
    left_failed: u64,
    unreadable: u64,
    /// For `--resume`. Null if the walk is complete, or ended before its first page.
    next: Option<String>,
    /// Why the walk ended early.
    error: Option<String>,
}

impl Walk {
    fn of(counts: &Counts, next: Option<String>, error: Option<String>) -> Self {
        Self {
            complete: next.is_none() && error.is_none(),
            pages: counts.pages,
            published: counts.published,
            recorded: counts.recorded,
            refused: counts.refused,
            too_young: counts.too_young,
            left_failed: counts.left_failed,
            unreadable: counts.unreadable,
            next,
            error,
        }
    }
}

#[derive(Debug, thiserror::Error)]
enum WalkError {
    #[error("--resume must be the `next` of an earlier walk over this table")]
    Resume,
    #[error("the walk ended early. If the result has a `next`, --resume <next> continues there")]
    EndedEarly,
    #[error("some rows of the event log cannot be read; the warnings above name the attributes")]
    Unreadable,
}

/// The name of the list that a cursor belongs to: a cursor of a walk over another table is refused.
fn list_of(table: &str) -> String {
    format!("republish#{table}")
}

fn resume(table: &str, text: &str) -> Result<Cursor, WalkError> {
    let token: CursorToken = serde_json::from_value(text.into()).map_err(|_| WalkError::Resume)?;
    token.open(&list_of(table)).map_err(|_| WalkError::Resume)
}

fn seal(table: &str, cursor: Option<&Cursor>) -> Option<String> {
    cursor.map(|cursor| CursorToken::seal(&list_of(table), cursor).to_string())
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let given = arguments.table.zip(arguments.bus);
    let given = given.map(|(table, bus)| [table, bus]);
    let variables = ["EVENTS_TABLE", "BUS_NAME"];
    let (sdk, names) = arguments.place.open_or(given, variables).await?;
    let (table, bus) = match names {
        Names::Given([table, bus]) => (table, bus),
        Names::Stack(resources) => {
            let (table, bus) = (resources.table("EventsTable")?, resources.bus("EventBus")?);
            (table.to_owned(), bus.to_owned())
        }
    };
    let table = table.as_str();
    let after = arguments
        .resume
        .as_deref()
        .map(|text| resume(table, text))
        .transpose()?;
    let options = Options {
        rows_per_second: arguments.rate,
        older_than: arguments.older_than,
        include_failed: arguments.include_failed,
        after: after.clone(),
        limit: arguments.limit,
    };
    let store: Arc<dyn Store> = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
    let publisher = Arc::new(EventBridgePublisher::new(aws::eventbridge(&sdk), bus));
    let events = Table::events(table);
    let relay = Relay::new(
        publisher,
        Arc::clone(&store),
        events.clone(),
        Arc::new(SystemClock),
        Settings::default(),
    );

    // What an interrupted walk reports. The page that was under way is walked again, which only repeats calls.
    let reached = RefCell::new((Counts::default(), seal(table, after.as_ref())));
    let mut reported_at = Instant::now();
    let walk = republish(
        &relay,
        &*store,
        &events,
        &SystemClock,
        &options,
        |counts, next| {
            let next = seal(table, next);
            if reported_at.elapsed() >= REPORT_EVERY {
                reported_at = Instant::now();
                output::note(&format!(
                    "{} pages, {} published, {} recorded, {} refused; to continue: --resume {}",
                    counts.pages,
                    counts.published,
                    counts.recorded,
                    counts.refused,
                    next.as_deref().unwrap_or("(at the end)")
                ));
            }
            *reached.borrow_mut() = (counts.clone(), next);
        },
    );
    let summary = tokio::select! {
        summary = walk => summary,
        interrupted = tokio::signal::ctrl_c() => {
            interrupted?;
            let (counts, next) = reached.borrow().clone();
            output::result(&Walk::of(&counts, next, Some("interrupted".to_owned())))?;
            return Err(WalkError::EndedEarly.into());
        }
    };
    let error = summary.error.as_ref().map(|error| chain(error));
    let ended_early = error.is_some();
    let next = seal(table, summary.next.as_ref());
    output::result(&Walk::of(&summary.counts, next, error))?;
    if ended_early {
        return Err(WalkError::EndedEarly.into());
    }
    if summary.counts.unreadable > 0 {
        return Err(WalkError::Unreadable.into());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_continues_a_walk_over_the_same_table_only() {
        let mut item = outbox::Item::new();
        item.insert("aggregate".into(), "cloud_account#m".into());
        item.insert("sequence".into(), 7.into());
        let cursor = Cursor(item);
        let text = seal("events", Some(&cursor)).expect("a cursor");
        assert_eq!(resume("events", &text).expect("its own"), cursor);
        assert!(resume("other", &text).is_err());
        assert!(resume("events", "").is_err());
        assert!(resume("events", &text[1..]).is_err());
    }
}
