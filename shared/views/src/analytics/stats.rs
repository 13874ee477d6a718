//! The number of events over time and in total: by type, by domain, by producer.

use std::collections::BTreeMap;

use events::Timestamp;
use outbox::{Error, Outbox, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    buckets::Bucket,
    ever::{ever, ever_of_producers, only_producer, outside_producers},
    reading::Wanted,
};

/// How events are grouped.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum By {
    /// By event type, `domain.action`.
    #[default]
    Type,
    /// By domain, the first part of the type.
    Domain,
    /// By producer.
    Producer,
}

/// The number of events in a bucket of time.
#[derive(Debug, Serialize, JsonSchema)]
pub struct StatsItem {
    /// When the bucket begins.
    pub start: Timestamp,
    /// The type, domain or producer.
    pub name: String,
    /// The number of events.
    pub count: u64,
}

/// The number of events since counting began.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Total {
    /// The type, domain or producer.
    pub name: String,
    /// The number of events.
    pub count: u64,
}

/// The number of events, over time and in total.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Stats {
    /// How the events are grouped.
    pub by: By,
    /// The width of the buckets.
    pub bucket: Bucket,
    /// When the first bucket begins.
    pub from: Timestamp,
    /// When the last bucket ends.
    pub to: Timestamp,
    /// The counts, by time, then by name.
    pub items: Vec<StatsItem>,
    /// The totals since counting began, by name.
    pub all_time: Vec<Total>,
    /// The total of all events since counting began.
    pub all_time_count: u64,
}

fn domain(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
}

impl Stats {
    /// Reads the counts consistently. The span must begin and end at the edge of a bucket.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn read(
        outbox: &Outbox,
        table: &Table,
        by: By,
        bucket: Bucket,
        (from, to): (Timestamp, Timestamp),
    ) -> Result<Self, Error> {
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
        let all_time = match by {
            By::Type => ever(outbox, table).await?,
            By::Producer => ever_of_producers(outbox, table).await?,
            By::Domain => {
                let mut domains: BTreeMap<String, u64> = BTreeMap::new();
                for (event_type, count) in ever(outbox, table).await? {
                    *domains.entry(domain(&event_type).to_owned()).or_default() += count;
                }
                domains
            }
        };
        Ok(Self {
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
}
