//! The feed: every event in one numbered row after another, for those who watch. Written by consumer `event-feed`, read
//! up to its head.
//!
//! A position is given in the transaction that writes the row and moves the head, so whoever reads the head consistently
//! finds every row up to it, and no row is ever added below it.

use std::time::Duration;

use events::{Envelope, EventId, Timestamp};
use outbox::{Condition, Error, Item, Key, Outbox, Query, SortKey, Table, decode_item};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// How long a row is kept after it was fed: how far back a reader may resume.
pub const FEED_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// Rows in one partition: enough that a reader seldom changes it, few enough that writes move on to the next one.
const PARTITION: u64 = 1_000;

/// Digits of a position in a sort key, so that texts sort as numbers.
const DIGITS: usize = 20;

/// How far the feed is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last position that was given; 0 before the first.
    pub position: u64,
}

impl Head {
    /// Where it stands.
    #[must_use]
    pub fn key(table: &Table) -> Key {
        table.key("head", "head")
    }

    /// Reads it, consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn read(outbox: &Outbox, table: &Table) -> Result<Option<Self>, Error> {
        outbox.row(&Self::key(table)).await
    }

    /// What must still hold of the head for the next position to be given.
    #[must_use]
    pub fn unchanged(head: Option<Self>) -> Condition {
        head.map_or(Condition::Absent, |head| {
            Condition::Equals(vec![("position", Value::from(head.position))])
        })
    }
}

/// A row of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Its place: 1, 2, 3… without gaps.
    pub position: u64,
    /// The event's type.
    pub event_type: String,
    /// What it is about, `type/id`.
    pub aggregate: String,
    /// Whose it is, where the event says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The envelope's bytes as they stand in the event log.
    pub envelope: String,
    /// When it got its position.
    pub fed_at: Timestamp,
    /// DynamoDB TTL, seconds since 1970.
    pub expires_at: i64,
}

impl Row {
    /// The row of an event.
    #[must_use]
    pub fn of(position: u64, envelope: &Envelope, stored: &str, now: Timestamp) -> Self {
        Self {
            position,
            event_type: envelope.event_type.to_string(),
            aggregate: format!("{}/{}", envelope.aggregate_type, envelope.aggregate_id),
            tenant_id: envelope
                .metadata
                .as_ref()
                .and_then(|metadata| metadata.tenant_id.as_ref())
                .map(ToString::to_string),
            envelope: stored.to_owned(),
            fed_at: now,
            expires_at: now.plus(FEED_LIFE).unix_seconds(),
        }
    }

    /// Where a position's row stands.
    #[must_use]
    pub fn key(table: &Table, position: u64) -> Key {
        table.key(partition(position), sort_key(position))
    }
}

/// Where an event stands in its log: what leads from its id to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The event log's partition, `type#id`.
    pub aggregate: String,
    /// Its number there.
    pub sequence: u64,
    /// Its position in the feed.
    pub position: u64,
    /// DynamoDB TTL, seconds since 1970.
    pub expires_at: i64,
}

impl Place {
    /// Where an event's place stands.
    #[must_use]
    pub fn key(table: &Table, event_id: EventId) -> Key {
        table.key(format!("event#{event_id}"), "place")
    }
}

fn partition(position: u64) -> String {
    format!("feed#{}", position / PARTITION)
}

fn sort_key(position: u64) -> String {
    format!("{position:0DIGITS$}")
}

/// Rows behind a position, in order: at most `limit`, and none beyond `head`, up to which every row is there. Shorter than
/// asked for where a partition ends, or where rows are gone because their time is over.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn rows_after(
    outbox: &Outbox,
    table: &Table,
    position: u64,
    head: u64,
    limit: u32,
) -> Result<Vec<Row>, Error> {
    let first = position + 1;
    if first > head {
        return Ok(Vec::new());
    }
    let mut query = Query::partition(table, partition(first), limit);
    query.from = Some(SortKey::Text(sort_key(first)));
    let page = outbox.store().query(&query).await?;
    let rows = page
        .items
        .into_iter()
        .map(|item: Item| decode_item::<Row>(&Row::key(table, first), item));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    Ok(rows
        .into_iter()
        .take_while(|row| row.position <= head)
        .collect())
}
