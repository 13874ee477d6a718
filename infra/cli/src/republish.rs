//! `millrace republish`: walks the event log and publishes what is still pending.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use api::CursorToken;
use aws::{DynamoStore, EventBridgePublisher};
use clap::{ArgGroup, Args};
use outbox::{
    Cursor, Store, SystemClock, Table, chain,
    relay::{Relay, Settings},
    republish::{Counts, Options, republish},
};
use serde::Serialize;

use crate::{
    output::{self, Failure},
    resources::Place,
    span,
};

/// How often a walk says how far it is.
const TELL_EVERY: Duration = Duration::from_secs(2);

/// The walk reads every row, published ones too: about 262,144 read units per GB of log.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["table", "stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    /// The event log's table instead of the stack, together with --bus.
    #[arg(long, env = "EVENTS_TABLE", requires = "bus")]
    table: Option<String>,
    /// The bus instead of the stack's, together with --table.
    #[arg(long, env = "BUS_NAME", requires = "table")]
    bus: Option<String>,
    #[command(flatten)]
    place: Place,
    /// Rows read per second, published ones too.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    rate: u32,
    /// Only events committed at least so long ago (90s, 30m, 24h, 7d): the stream is still on younger ones.
    #[arg(long, default_value = "24h", value_parser = span::parse)]
    older_than: Duration,
    /// Go on where an earlier walk ended: its `next`.
    #[arg(long)]
    resume: Option<String>,
    /// Also events that the bus refused for good: once the cause is mended.
    #[arg(long)]
    include_failed: bool,
    /// Publish at most so many events.
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..))]
    limit: Option<u64>,
}

/// How a walk ended, on standard output.
#[derive(Debug, Serialize)]
struct Walk {
    /// Whether the whole log was walked over.
    complete: bool,
    pages: u64,
    published: u64,
    recorded: u64,
    refused: u64,
    too_young: u64,
    left_failed: u64,
    unreadable: u64,
    /// For `--resume`; null where the walk is complete, or ended before its first page.
    next: Option<String>,
    /// Why it ended early.
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
    #[error("--resume is not the `next` of a walk over this table")]
    Resume,
    #[error("the walk ended early; where it has a `next`, --resume goes on there")]
    EndedEarly,
    #[error("rows of the log cannot be read; the warnings above name the attributes")]
    Unreadable,
}

/// What the cursors of a walk over this table are sealed with.
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

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let sdk = aws::sdk_config().await;
    let (table, bus) = match (arguments.table, arguments.bus) {
        (Some(table), Some(bus)) => (table, bus),
        _ => {
            let resources = arguments.place.find(&sdk).await?;
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

    // What an interruption leaves behind; a page that was under way is walked over again, which repeats nothing but calls.
    let reached = RefCell::new((Counts::default(), seal(table, after.as_ref())));
    let mut told = Instant::now();
    let walk = republish(
        &relay,
        &*store,
        &events,
        &SystemClock,
        &options,
        |counts, next| {
            let next = seal(table, next);
            if told.elapsed() >= TELL_EVERY {
                told = Instant::now();
                output::note(&format!(
                    "{} pages, {} published, {} recorded, {} refused; to go on: --resume {}",
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
    fn a_walks_end_is_where_the_next_one_begins_on_the_same_table_only() {
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
