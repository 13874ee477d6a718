//! Counts of events, over time and in total: by type, by domain, by producer.

use std::sync::Arc;

use api::{Problem, Query, Reply, State, TimestampInput};
use schemars::JsonSchema;
use serde::Deserialize;
use views::analytics::{Bucket, By, Stats};

use crate::{analytics::span_of, router::App};

pub(crate) const DESCRIPTION: &str = "\
Counts of all events, from the consumer `analytics`, which counts each event once, however often it is delivered. `items` has them per \
bucket of time (UTC, by `occurred_at`) and name, sorted by both, without empty buckets; `all_time` since counting began. The span is \
widened to whole buckets. It is at most 744 hours or 366 days; by default the last 24 hours \
or 30 days. Events of the last moments may not be counted yet.";

/// The query of the counts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct StatsQuery {
    /// The start of the span, a time or a day.
    #[serde(default)]
    pub from: Option<TimestampInput>,
    /// The end of the span: a time, or the beginning of a day. If absent, now.
    #[serde(default)]
    pub to: Option<TimestampInput>,
    /// The dimension to count by.
    #[serde(default)]
    pub by: By,
    /// The width of the buckets.
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
