//! How many events there were, over time and since ever: by type, by domain, by producer.

use std::sync::Arc;

use api::{MomentInput, Problem, Query, Reply, State};
use schemars::JsonSchema;
use serde::Deserialize;
use views::analytics::{Bucket, By, Stats};

use crate::{analytics::span_of, router::App};

pub(crate) const DESCRIPTION: &str = "\
Of every event, as the consumer `analytics` counted them, once each however often they came: per bucket of time (UTC, by \
`occurred_at`) and name, sorted by both, without empty buckets; and in `all_time` since counting began. `from` is taken back to the \
beginning of its bucket and `to` on to the end of its own. At most 744 hours or 366 days; where nothing is said, the last 24 hours \
or 30 days. What happened a moment ago may not be counted yet.";

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

pub(crate) async fn stats(
    State(app): State<Arc<App>>,
    Query(query): Query<StatsQuery>,
) -> Result<Reply<Stats>, Problem> {
    let now = app.outbox.clock().now();
    let span = span_of(query.from, query.to, query.bucket, now)
        .map_err(|wrong| Problem::invalid(vec![wrong]))?;
    let (by, bucket) = (query.by, query.bucket);
    Reply::of(&Stats::read(&app.outbox, &app.analytics, by, bucket, span).await?)
}
