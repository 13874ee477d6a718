//! How many events there were, over time and since ever: by type, by domain, by producer.

use std::{collections::BTreeMap, sync::Arc};

use api::{MomentInput, Problem, Query, Reply, State};
use events::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::analytics::{Bucket, Wanted, ever, ever_of_producers, only_producer, outside_producers};

use crate::{analytics::span_of, router::App};

pub(crate) const DESCRIPTION: &str = "\
Of every event, as the consumer `analytics` counted them, once each however often they came: per bucket of time (UTC, by \
`occurred_at`) and name, sorted by both, without empty buckets; and in `all_time` since counting began. `from` is taken back to the \
beginning of its bucket and `to` on to the end of its own. At most 744 hours or 366 days; where nothing is said, the last 24 hours \
or 30 days. What happened a moment ago may not be counted yet.";

/// By what events are counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum By {
    /// `domain.action`.
    #[default]
    Type,
    /// The first part of the type.
    Domain,
    /// Who published it.
    Producer,
}

/// Which counts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StatsQuery {
    /// From this moment or day on.
    #[serde(default)]
    pub from: Option<MomentInput>,
    /// Up to this moment, or up to the beginning of this day; where nothing is said, now.
    #[serde(default)]
    pub to: Option<MomentInput>,
    /// By what.
    #[serde(default)]
    pub by: By,
    /// How wide the buckets are.
    #[serde(default)]
    pub bucket: Bucket,
}

/// How many events there were in a bucket of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatsItem {
    /// Where the bucket begins.
    pub start: Timestamp,
    /// The type, domain or producer.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// How many events there were since counting began.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Total {
    /// The type, domain or producer.
    pub name: String,
    /// How many.
    pub count: u64,
}

/// How many events there were.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// By what.
    pub by: By,
    /// How wide the buckets are.
    pub bucket: Bucket,
    /// Where the first bucket begins.
    pub from: Timestamp,
    /// Where the last bucket ends.
    pub to: Timestamp,
    /// By time, then by name.
    pub items: Vec<StatsItem>,
    /// Since counting began, by name.
    pub all_time: Vec<Total>,
    /// All of them.
    pub all_time_count: u64,
}

fn domain(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
}

pub(crate) async fn stats(
    State(app): State<Arc<App>>,
    Query(query): Query<StatsQuery>,
) -> Result<Reply<Stats>, Problem> {
    let (by, bucket) = (query.by, query.bucket);
    let (from, to) = span_of(query.from, query.to, bucket, app.outbox.clock().now())
        .map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let (outbox, table) = (&app.outbox, &app.analytics);
    let wanted = Wanted {
        bucket,
        from,
        to,
        kind: None,
        primitive: None,
        member_id: None,
    };
    let mut counts: BTreeMap<(Timestamp, String), u64> = match by {
        By::Producer => outside_producers(outbox, table, bucket, (from, to)).await?,
        By::Type | By::Domain => BTreeMap::new(),
    };
    for figure in wanted.read(outbox, table).await? {
        let event_type = figure.kind.event_type;
        let name = match by {
            By::Type => Some(event_type),
            By::Domain => Some(domain(event_type)),
            By::Producer => only_producer(event_type),
        };
        if let Some(name) = name {
            *counts.entry((figure.start, name.to_owned())).or_default() += figure.sums.count;
        }
    }
    let of_types = || ever(outbox, table);
    let all_time = match by {
        By::Type => of_types().await?,
        By::Producer => ever_of_producers(outbox, table).await?,
        By::Domain => {
            let mut domains: BTreeMap<String, u64> = BTreeMap::new();
            for (event_type, count) in of_types().await? {
                *domains.entry(domain(&event_type).to_owned()).or_default() += count;
            }
            domains
        }
    };
    Reply::of(&Stats {
        by,
        bucket,
        from,
        to,
        items: counts
            .into_iter()
            .map(|((start, name), count)| StatsItem { start, name, count })
            .collect(),
        all_time_count: all_time.values().sum(),
        all_time: all_time
            .into_iter()
            .map(|(name, count)| Total { name, count })
            .collect(),
    })
}
