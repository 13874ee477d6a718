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

/// Rows behind a position, in order and without a gap: at most `limit`, and none beyond `head`, up to which every row was
/// written. Shorter than asked for where a partition ends; nothing where the next row is gone because its time is over.
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
    let together: Vec<Row> = (first..=head)
        .zip(rows)
        .map_while(|(wanted, row)| (row.position == wanted).then_some(row))
        .collect();
    if !together.is_empty() {
        return Ok(together);
    }
    // A query is no snapshot: it may meet a transaction half-way, whose head was seen already. A single item's read comes
    // after the whole of it
    // (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>, read 2026-11-26).
    let row = outbox.row::<Row>(&Row::key(table, first)).await?;
    Ok(row.into_iter().collect())
}

/// The last position behind `position` whose row is gone, where the next one's is; `head` where every row is gone. What lives
/// behind it was fed within [`FEED_LIFE`] before `now`: those rows are all there.
///
/// Rows are fed in the order of their positions, so it halves what lies between: at most 64 reads.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn gone_up_to(
    outbox: &Outbox,
    table: &Table,
    position: u64,
    head: u64,
    now: Timestamp,
) -> Result<u64, Error> {
    // Gone; alive, or behind the head.
    let (mut gone, mut alive) = (position + 1, head + 1);
    while gone + 1 < alive {
        let middle = gone + (alive - gone) / 2;
        let row = outbox.row::<Row>(&Row::key(table, middle)).await?;
        if row.is_some_and(|row| row.expires_at > now.unix_seconds()) {
            alive = middle;
        } else {
            gone = middle;
        }
    }
    Ok(gone)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use events::Registry;
    use outbox::{Store, SystemClock, encode_item, memory::MemoryStore};

    use super::*;

    async fn filled(positions: &[u64]) -> (Outbox, Table) {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("feed"));
        let rows: Vec<Item> = positions
            .iter()
            .map(|position| {
                let row = Row {
                    position: *position,
                    event_type: "member.registered".into(),
                    aggregate: "member/ada".into(),
                    tenant_id: None,
                    envelope: "{}".into(),
                    fed_at: Timestamp::EPOCH,
                    // Every seventh row's time is over, and it is still there.
                    expires_at: if position % 7 == 0 { 1 } else { 1_000 },
                };
                encode_item(&Row::key(&table, *position), &row).unwrap()
            })
            .collect();
        for some in rows.chunks(25) {
            store.put_all(&table, some).await.unwrap();
        }
        let outbox = Outbox::new(
            store,
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        (outbox, table)
    }

    async fn positions(of: &(Outbox, Table), after: u64, head: u64, limit: u32) -> Vec<u64> {
        let rows = rows_after(&of.0, &of.1, after, head, limit).await.unwrap();
        rows.into_iter().map(|row| row.position).collect()
    }

    #[tokio::test]
    async fn rows_come_in_order_up_to_the_head_and_a_partition_ends_a_page() {
        let feed = filled(&[8, 9, 10, 11, 998, 999, 1_000, 1_001]).await;
        assert_eq!(positions(&feed, 7, 11, 100).await, [8, 9, 10, 11]);
        assert_eq!(
            positions(&feed, 7, 9, 100).await,
            [8, 9],
            "not beyond the head"
        );
        assert_eq!(
            positions(&feed, 7, 11, 2).await,
            [8, 9],
            "not above the limit"
        );
        assert_eq!(positions(&feed, 997, 1_001, 9).await, [998, 999]);
        assert_eq!(positions(&feed, 999, 1_001, 9).await, [1_000, 1_001]);
        assert!(positions(&feed, 11, 11, 9).await.is_empty());
    }

    #[tokio::test]
    async fn behind_a_gap_nothing_is_told() {
        let feed = filled(&[3, 4, 6]).await;
        assert_eq!(positions(&feed, 2, 6, 9).await, [3, 4]);
        assert!(positions(&feed, 4, 6, 9).await.is_empty());
        assert!(positions(&feed, 0, 6, 9).await.is_empty());
    }

    #[tokio::test]
    async fn a_gap_ends_before_the_first_row_that_lives() {
        let now = Timestamp::from_unix_millis(500_000).unwrap();
        // 7 is there, and may go at any moment.
        let feed = filled(&[3, 4, 7, 8, 9, 10, 11, 12, 13]).await;
        for (after, head, expected) in [(4, 13, 7), (5, 13, 7), (4, 6, 6), (4, 5, 5), (0, 2, 2)] {
            let gone = gone_up_to(&feed.0, &feed.1, after, head, now)
                .await
                .unwrap();
            assert_eq!(gone, expected, "behind {after}, head {head}");
        }
        let far: Vec<u64> = (900_001..=900_013).collect();
        let feed = filled(&far).await;
        let gone = gone_up_to(&feed.0, &feed.1, 17, 900_013, now)
            .await
            .unwrap();
        assert_eq!(gone, 900_000);
    }

    #[test]
    fn a_head_that_moved_gives_no_position() {
        assert_eq!(Head::unchanged(None), Condition::Absent);
        let known = Head::unchanged(Some(Head { position: 7 }));
        assert_eq!(known, Condition::Equals(vec![("position", 7.into())]));
    }
}
