//! `millrace events`: the newest events, one event, its journey, and how many there were.

use std::sync::Arc;

use aws::DynamoStore;
use clap::{Args, Subcommand, ValueEnum};
use events::{EventId, EventType, Registry, Timestamp};
use evidence::{Handling, Journey};
use outbox::{Clock as _, Outbox, SystemClock, Table};
use serde_json::{json, value::RawValue};
use views::{
    analytics::{Bucket, By, Stats},
    feed::{Found, Recent, find},
};

use crate::{
    names,
    output::{self, CliError},
    place::Place,
    resources::StackResources,
    span,
};

/// Look events up: the newest ones, one by its id, its journey, and how many there were
///
/// The same as GET /api/v1/events and the paths below it. Reads only. Needs dynamodb:GetItem and Query on the tables of
/// the event log, the feed, the marks, the counts and the projections, and cloudformation:ListStackResources on the
/// stack (not with --resources).
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the newest events
    #[command(after_help = "Examples:\n  \
        millrace events recent --limit 3\n  \
        millrace events recent --type loan.funded --since 1h --json")]
    Recent(RecentArguments),
    /// Show one event as it was committed
    #[command(after_help = "Example:\n  millrace events show 0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b")]
    Show(Show),
    /// Show what became of an event: when it was committed and published, and which consumers handled or parked it
    #[command(
        after_help = "Example:\n  millrace events journey 0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b"
    )]
    Journey(OneEvent),
    /// Count the events over time and since counting began
    #[command(
        after_help = "Example:\n  millrace events stats --by domain --bucket hour --since 24h"
    )]
    Stats(StatsArguments),
}

#[derive(Debug, Args)]
pub(crate) struct Stack {
    #[command(flatten)]
    place: Place,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct OneEvent {
    #[command(flatten)]
    stack: Stack,
    /// The event's id
    event_id: EventId,
}

#[derive(Debug, Args)]
pub(crate) struct Show {
    #[command(flatten)]
    event: OneEvent,
    /// Print the event as a CloudEvent
    #[arg(long)]
    cloudevent: bool,
}

#[derive(Debug, Args)]
pub(crate) struct RecentArguments {
    #[command(flatten)]
    stack: Stack,
    /// Only events of this type, such as loan.funded
    #[arg(long = "type")]
    event_type: Option<EventType>,
    /// Only events of this domain, the first part of the type
    #[arg(long, value_parser = names::domain)]
    domain: Option<String>,
    /// Only events recorded within this time: 90s, 30m, 24h, 7d
    #[arg(long, value_parser = span::parse)]
    since: Option<std::time::Duration>,
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum ByArgument {
    Type,
    Domain,
    Producer,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum BucketArgument {
    Hour,
    Day,
}

#[derive(Debug, Args)]
pub(crate) struct StatsArguments {
    #[command(flatten)]
    stack: Stack,
    /// What to count by
    #[arg(long, value_enum, default_value_t = ByArgument::Type)]
    by: ByArgument,
    /// How wide a bucket of time is
    #[arg(long, value_enum, default_value_t = BucketArgument::Day)]
    bucket: BucketArgument,
    /// How far back: 24h, 30d
    #[arg(long, value_parser = span::parse, default_value = "30d")]
    since: std::time::Duration,
}

/// The tables in which events are looked up.
struct Site {
    outbox: Outbox,
    feed: Table,
    analytics: Table,
    evidence: evidence::EvidenceTables,
}

impl Site {
    async fn open(place: &Place) -> Result<Self, CliError> {
        let (sdk, resources) = place.open().await?;
        let table = |id: &str| resources.table(id).map(str::to_owned);
        let marks = Table::marks(table("MarksTable")?);
        Ok(Self {
            outbox: Outbox::new(
                Arc::new(DynamoStore::new(aws::dynamodb(&sdk))),
                Arc::new(SystemClock),
                Arc::new(Registry::shipped()),
                Table::events(table("EventsTable")?),
                marks.clone(),
            ),
            feed: Table::domain(table("FeedTable")?),
            analytics: Table::domain(table("AnalyticsTable")?),
            evidence: evidence_of(&resources, marks),
        })
    }

    async fn find(&self, id: EventId) -> Result<Found, CliError> {
        let found = find(&self.outbox, &self.feed, id).await?;
        found.ok_or_else(|| format!("no event {id} is known: not yet, or no longer").into())
    }
}

/// The tables of the consumers' evidence: the marks, and the projections that are deployed.
fn evidence_of(resources: &StackResources, marks: Table) -> evidence::EvidenceTables {
    let projections = evidence::EvidenceTables::of_projections().into_iter();
    projections.fold(
        evidence::EvidenceTables::new(marks),
        |tables, table| match resources.table(&table.logical_id()) {
            Ok(name) => tables.with(table, Table::domain(name)),
            Err(_) => tables,
        },
    )
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Recent(arguments) => recent(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Journey(arguments) => journey(arguments).await,
        Command::Stats(arguments) => stats(arguments).await,
    }
}

async fn recent(arguments: RecentArguments) -> Result<(), CliError> {
    let event_type = arguments.event_type.as_ref().map(EventType::as_str);
    // Only a warning: other repositories may publish types that this tool does not know.
    if let Some(unknown) = event_type.and_then(names::unknown_type) {
        output::note(&format!("millrace: {unknown}"));
    }
    let site = Site::open(&arguments.stack.place).await?;
    let now = SystemClock.now();
    let mut wanted = Recent {
        event_type: arguments.event_type.map(|one| one.to_string()),
        domain: arguments.domain,
        from: arguments.since.map(|span| now.minus(span)),
        to: None,
        before: None,
        limit: arguments.limit.into(),
    };
    let mut rows = Vec::new();
    loop {
        let (some, next) = wanted.read(&site.outbox, &site.feed).await?;
        rows.extend(some);
        wanted.limit = usize::from(arguments.limit).saturating_sub(rows.len());
        wanted.before = next;
        if next.is_none() || wanted.limit == 0 {
            break;
        }
    }
    if arguments.stack.json {
        let items = rows.into_iter().map(|row| {
            let event = RawValue::from_string(row.envelope)?;
            Ok(json!({ "position": row.position, "recorded_at": row.fed_at, "event": event }))
        });
        let items: Result<Vec<_>, serde_json::Error> = items.collect();
        return output::result(&json!({ "items": items? }));
    }
    let mut lines = vec![["RECORDED AT", "TYPE", "AGGREGATE", "EVENT ID"].map(str::to_owned)];
    for row in rows {
        let id = Registry::read(&row.envelope).map(|envelope| envelope.event_id.to_string());
        let id = id.unwrap_or_else(|_| "unreadable".to_owned());
        lines.push([row.fed_at.to_string(), row.event_type, row.aggregate, id]);
    }
    output::table(&lines)
}

async fn show(arguments: Show) -> Result<(), CliError> {
    let site = Site::open(&arguments.event.stack.place).await?;
    let found = site.find(arguments.event.event_id).await?;
    let json = if arguments.cloudevent {
        found.envelope.to_cloudevent()?.get().to_owned()
    } else {
        found.json
    };
    if arguments.event.stack.json {
        return output::text(&format!("{json}\n"));
    }
    let value: serde_json::Value = serde_json::from_str(&json)?;
    output::text(&format!("{value:#}\n"))
}

async fn journey(arguments: OneEvent) -> Result<(), CliError> {
    let site = Site::open(&arguments.stack.place).await?;
    let found = site.find(arguments.event_id).await?;
    let journey = Journey::of(&site.outbox, &site.evidence, found).await?;
    if arguments.stack.json {
        return output::result(&journey);
    }
    let moment = |moment: Option<Timestamp>, otherwise: &str| {
        moment.map_or_else(|| otherwise.to_owned(), |moment| moment.to_string())
    };
    let mut lines = vec![
        [
            "event",
            journey.event_type.as_str(),
            &journey.event_id.to_string(),
        ]
        .map(str::to_owned),
        [
            "about",
            &journey.aggregate,
            &format!("number {}", journey.sequence),
        ]
        .map(str::to_owned),
        ["occurred", &journey.occurred_at.to_string(), ""].map(str::to_owned),
        [
            "committed",
            &moment(journey.committed_at, "no longer in the log"),
            "",
        ]
        .map(str::to_owned),
        ["published", &moment(journey.published_at, "not yet"), ""].map(str::to_owned),
        [
            "recorded",
            &moment(journey.recorded_at, "no longer in the feed"),
            &format!("position {}", journey.position),
        ]
        .map(str::to_owned),
    ];
    if let (Some(at), Some(error)) = (journey.failed_at, &journey.last_error) {
        lines.push(["refused", &at.to_string(), error].map(str::to_owned));
    }
    for one in &journey.consumers {
        let state = match one.state {
            Handling::Handled => "handled",
            Handling::Waiting => "waiting",
            Handling::Parked => "parked",
            Handling::Blocked => "blocked: its aggregate waits for a parked event",
            Handling::Unclear => "unclear: run millrace audit",
        };
        let more = match &one.parked {
            Some(parked) => format!("{} {}: {}", parked.parked_at, parked.reason, parked.error),
            None => moment(one.handled_at, ""),
        };
        lines.push([one.consumer.to_owned(), state.to_owned(), more]);
    }
    output::table(&lines)
}

async fn stats(arguments: StatsArguments) -> Result<(), CliError> {
    let site = Site::open(&arguments.stack.place).await?;
    let by = match arguments.by {
        ByArgument::Type => By::Type,
        ByArgument::Domain => By::Domain,
        ByArgument::Producer => By::Producer,
    };
    let bucket = match arguments.bucket {
        BucketArgument::Hour => Bucket::Hour,
        BucketArgument::Day => Bucket::Day,
    };
    let now = SystemClock.now();
    let span = (bucket.start(now.minus(arguments.since)), bucket.end(now));
    let stats = Stats::read(&site.outbox, &site.analytics, by, bucket, span).await?;
    if arguments.stack.json {
        return output::result(&stats);
    }
    let mut lines = vec![["FROM", "NAME", "EVENTS"].map(str::to_owned)];
    for item in stats.items {
        lines.push([item.start.to_string(), item.name, item.count.to_string()]);
    }
    for total in stats.all_time {
        lines.push(["all time".to_owned(), total.name, total.count.to_string()]);
    }
    output::table(&lines)
}
