//! The feed: all events as rows with consecutive positions, for readers that watch events. The consumer `event-feed`
//! writes it. Readers read it up to its head.
//!
//! The transaction that writes a row also assigns its position and moves the head. So a reader that reads the head
//! consistently finds every row up to it, and no row is ever added below it.

use std::{ops::Range, time::Duration};

use events::{Envelope, EventId, Registry, Timestamp};
use outbox::{Error, Item, Key, Outbox, Query, SortKey, Table, decode_item};
use serde::{Deserialize, Serialize};

/// How long a row is kept at least after it was written, whatever is configured. A reader can resume from that far
/// back.
pub const LEAST_LIFE: Duration = Duration::from_secs(7 * 24 * 60 * 60);

/// How many rows one search looks at, at most, so that it answers in time even if matches are rare.
const LOOKED_AT_MOST: u32 = 5_000;

/// How many rows one query reads if only some of them match.
const PICKED_FROM: u32 = 500;

/// How many bytes of envelopes one search returns: below the 6 MB limit of a function's response
/// (<https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read 2026-11-21).
const HANDED_OUT_BYTES: usize = 4 * 1024 * 1024;

/// How far the clocks of the instances that write rows can differ. A search by time allows for it.
const CLOCKS_DIFFER: Duration = Duration::from_secs(60);

/// How many rows a partition has: enough that a reader rarely changes partition, few enough that writes move on to the
/// next one.
const PARTITION: u64 = 1_000;

/// How many digits a position has in a sort key, so that texts sort as numbers.
const DIGITS: usize = 20;

/// The head of the feed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Head {
    /// The last assigned position; 0 before the first.
    pub position: u64,
}

impl Head {
    /// The key of the head's row.
    #[must_use]
    pub fn key(table: &Table) -> Key {
        table.key("head", "head")
    }

    /// Reads the head consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn read(outbox: &Outbox, table: &Table) -> Result<Option<Self>, Error> {
        outbox.row(&Self::key(table)).await
    }
}

/// A row of the feed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FeedRow {
    /// The row's position: 1, 2, 3… without gaps.
    pub position: u64,
    /// The event's type.
    pub event_type: String,
    /// The aggregate of the event, `type/id`.
    pub aggregate: String,
    /// The tenant of the event, if the event names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<String>,
    /// The envelope, byte for byte as in the event log.
    pub envelope: String,
    /// When the row was written.
    pub fed_at: Timestamp,
    /// DynamoDB TTL, seconds since 1970.
    pub expires_at: i64,
}

impl FeedRow {
    /// The row of an event.
    #[must_use]
    pub fn of(
        position: u64,
        envelope: &Envelope,
        stored: &str,
        now: Timestamp,
        life: Duration,
    ) -> Self {
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
            expires_at: now.plus(life).unix_seconds(),
        }
    }

    /// The key of a position's row.
    #[must_use]
    pub fn key(table: &Table, position: u64) -> Key {
        table.key(partition(position), sort_key(position))
    }
}

/// The place of an event in the event log: it leads from the event's id to its rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The event log's partition, `type#id`.
    pub aggregate: String,
    /// The event's sequence.
    pub sequence: u64,
    /// The event's position in the feed.
    pub position: u64,
    /// DynamoDB TTL, seconds since 1970; absent if the event stays in the log forever, where its id continues to find
    /// it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
}

impl Place {
    /// The key of an event's place.
    #[must_use]
    pub fn key(table: &Table, event_id: EventId) -> Key {
        table.key(format!("event#{event_id}"), "place")
    }
}

/// An event that was found by its id.
#[derive(Debug, Clone, PartialEq)]
pub struct Found {
    /// The event.
    pub envelope: Envelope,
    /// The event's JSON text.
    pub json: String,
    /// The event's position in the feed.
    pub position: u64,
    /// The event's row in the event log; `None` if it has expired.
    pub logged: Option<outbox::log::LogRow>,
    /// The event's row in the feed; `None` if it has expired.
    pub fed: Option<FeedRow>,
}

/// Finds an event by its id, in the event log or, if it has expired there, in the feed. An event that was committed a
/// moment ago might not be in the feed yet and is then not found.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn find(
    outbox: &Outbox,
    table: &Table,
    event_id: EventId,
) -> Result<Option<Found>, Error> {
    let Some(place) = outbox.row::<Place>(&Place::key(table, event_id)).await? else {
        return Ok(None);
    };
    let before = place.sequence.saturating_sub(1);
    let (rows, _) = outbox.rows_after(&place.aggregate, before, 1).await?;
    let is_it = |row: &outbox::log::LogRow| row.event_id == event_id.to_string();
    let logged = rows.into_iter().next().filter(is_it);
    let fed = outbox
        .row::<FeedRow>(&FeedRow::key(table, place.position))
        .await?;
    let json = match (&logged, &fed) {
        (Some(row), _) => row.envelope_json().to_owned(),
        (None, Some(row)) => row.envelope.clone(),
        (None, None) => return Ok(None),
    };
    let envelope = Registry::read(&json).ok();
    let envelope = envelope.filter(|envelope| envelope.event_id == event_id);
    Ok(envelope.map(|envelope| Found {
        envelope,
        json,
        position: place.position,
        logged,
        fed,
    }))
}

fn partition(position: u64) -> String {
    format!("feed#{}", position / PARTITION)
}

/// A position as a sort key: texts sort as the numbers do.
#[must_use]
pub fn sort_key(position: u64) -> String {
    format!("{position:0DIGITS$}")
}

/// Rows after a position, in order and without a gap: at most `limit`, and none beyond `head`, up to which every row is
/// written. It returns fewer rows at the end of a partition, and none if the next row has expired.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn rows_after(
    outbox: &Outbox,
    table: &Table,
    position: u64,
    head: u64,
    limit: u32,
) -> Result<Vec<FeedRow>, Error> {
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
        .map(|item: Item| decode_item::<FeedRow>(&FeedRow::key(table, first), item));
    let rows = rows.collect::<Result<Vec<_>, _>>()?;
    let together: Vec<FeedRow> = (first..=head)
        .zip(rows)
        .map_while(|(wanted, row)| (row.position == wanted).then_some(row))
        .collect();
    if !together.is_empty() {
        return Ok(together);
    }
    // A query is not a snapshot: it can see part of a transaction whose new head was already read. A read of a single
    // item sees the whole transaction
    // (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>, read 2026-11-26).
    let row = outbox.row::<FeedRow>(&FeedRow::key(table, first)).await?;
    Ok(row.into_iter().collect())
}

/// The last position after `position` whose row has expired, if the next position's row has not; `head` if every row
/// has expired. The rows after it were written within [`LEAST_LIFE`] before `now`, so they all exist.
///
/// Rows are written in the order of their positions, so this is a binary search: at most 64 reads.
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
    let is_alive = |row: &FeedRow| row.expires_at > now.unix_seconds();
    last_before(outbox, table, position + 1..head + 1, is_alive).await
}

/// The last position in `between` whose row has expired or does not satisfy `is_so`. `between.start` is assumed to be
/// such a position. If a row satisfies `is_so`, all rows after it must too. This is a binary search: at most 64 reads.
async fn last_before(
    outbox: &Outbox,
    table: &Table,
    between: Range<u64>,
    is_so: impl Fn(&FeedRow) -> bool,
) -> Result<u64, Error> {
    let Range {
        start: mut before,
        end: mut first,
    } = between;
    while before + 1 < first {
        let middle = before + (first - before) / 2;
        let row = outbox.row::<FeedRow>(&FeedRow::key(table, middle)).await?;
        if row.as_ref().is_some_and(&is_so) {
            first = middle;
        } else {
            before = middle;
        }
    }
    Ok(before)
}

/// A search for recent events, newest first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Recent {
    /// Only this type.
    pub event_type: Option<String>,
    /// Only types of this domain.
    pub domain: Option<String>,
    /// Only rows that were written at this time or later.
    pub from: Option<Timestamp>,
    /// Only rows that were written before this time.
    pub to: Option<Timestamp>,
    /// Only positions below this one, to continue after the previous page.
    pub before: Option<u64>,
    /// The largest number of rows.
    pub limit: usize,
}

impl Recent {
    fn wants(&self, row: &FeedRow) -> bool {
        let domain = row.event_type.split('.').next();
        self.event_type
            .as_ref()
            .is_none_or(|one| *one == row.event_type)
            && self.domain.as_deref().is_none_or(|one| Some(one) == domain)
            && self.from.is_none_or(|from| row.fed_at >= from)
            && self.to.is_none_or(|to| row.fed_at < to)
    }

    /// The matching rows, newest first, and the position below which to continue; `None` if everything was searched. A
    /// page can have fewer rows than requested, or none, although there are more: one search looks at a limited number
    /// of rows.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn read(
        &self,
        outbox: &Outbox,
        table: &Table,
    ) -> Result<(Vec<FeedRow>, Option<u64>), Error> {
        let head = Head::read(outbox, table)
            .await?
            .map_or(0, |head| head.position);
        let mut below = match (self.before, self.to) {
            (Some(before), _) => before.min(head + 1),
            (None, Some(to)) => first_from(outbox, table, head, to.plus(CLOCKS_DIFFER)).await?,
            (None, None) => head + 1,
        };
        // If every row matches, the query reads no more rows than requested.
        let is_picky = self.event_type.is_some() || self.domain.is_some();
        let wanted = u32::try_from(self.limit).unwrap_or(PICKED_FROM);
        let step = if is_picky {
            PICKED_FROM
        } else {
            wanted.clamp(1, PICKED_FROM)
        };
        let (mut rows, mut bytes, mut left) = (Vec::new(), 0, LOOKED_AT_MOST);
        while below > 1 && left > 0 {
            let page = rows_before(outbox, table, below, left.min(step)).await?;
            if page.is_empty() {
                return Ok((rows, None));
            }
            for row in page {
                let is_next = row.position + 1 == below;
                let too_old = |from: Timestamp| row.fed_at.plus(CLOCKS_DIFFER) < from;
                if !is_next || self.from.is_some_and(too_old) {
                    // The rows below a gap have expired or will expire at any moment.
                    return Ok((rows, None));
                }
                below = row.position;
                left = left.saturating_sub(1);
                if self.wants(&row) {
                    bytes += row.envelope.len();
                    rows.push(row);
                }
                if rows.len() >= self.limit || bytes >= HANDED_OUT_BYTES {
                    return Ok((rows, (below > 1).then_some(below)));
                }
            }
        }
        Ok((rows, (below > 1).then_some(below)))
    }
}

/// The rows below a position, highest first, within one partition.
async fn rows_before(
    outbox: &Outbox,
    table: &Table,
    position: u64,
    limit: u32,
) -> Result<Vec<FeedRow>, Error> {
    let last = position - 1;
    let query = Query {
        from: Some(SortKey::Text(sort_key(last))),
        descending: true,
        ..Query::partition(table, partition(last), limit)
    };
    let page = outbox.store().query(&query).await?;
    let rows = page.items.into_iter();
    rows.map(|item| decode_item::<FeedRow>(&FeedRow::key(table, last), item))
        .collect()
}

/// The first position that was written at `moment` or later; the position after the head if there is none. Expired rows
/// were written before all existing ones, so this is a binary search: at most 64 reads.
async fn first_from(
    outbox: &Outbox,
    table: &Table,
    head: u64,
    moment: Timestamp,
) -> Result<u64, Error> {
    let is_from = |row: &FeedRow| row.fed_at >= moment;
    Ok(last_before(outbox, table, 0..head + 1, is_from).await? + 1)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use outbox::{Store, SystemClock, encode_item, memory::MemoryStore};

    use super::*;

    async fn filled(positions: &[u64]) -> (Outbox, Table) {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("feed"));
        let rows: Vec<Item> = positions
            .iter()
            .map(|position| {
                let row = FeedRow {
                    position: *position,
                    event_type: if position % 5 == 0 {
                        "loan.funded"
                    } else {
                        "member.updated"
                    }
                    .into(),
                    aggregate: "member/ada".into(),
                    tenant_id: None,
                    envelope: "{}".into(),
                    fed_at: moment(*position),
                    // Every seventh row has expired but still exists.
                    expires_at: if position % 7 == 0 { 1 } else { 1_000 },
                };
                encode_item(&FeedRow::key(&table, *position), &row).unwrap()
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

    /// A minute for each position.
    fn moment(position: u64) -> Timestamp {
        let minutes = i64::try_from(position).unwrap();
        Timestamp::from_unix_millis(minutes * 60_000).unwrap()
    }

    async fn headed(head: u64) -> (Outbox, Table) {
        let feed = filled(&(3..=head).collect::<Vec<_>>()).await;
        let key = Head::key(&feed.1);
        let item = encode_item(&key, &Head { position: head }).unwrap();
        feed.0.store().put_all(&feed.1, &[item]).await.unwrap();
        feed
    }

    async fn looked(of: &(Outbox, Table), wanted: Recent) -> (Vec<u64>, Option<u64>) {
        let (rows, next) = wanted.read(&of.0, &of.1).await.unwrap();
        (rows.iter().map(|row| row.position).collect(), next)
    }

    #[tokio::test]
    async fn the_newest_come_first_page_by_page_to_where_rows_are_gone() {
        let feed = headed(1_012).await;
        let mut wanted = Recent {
            limit: 7,
            ..Recent::default()
        };
        let mut seen = Vec::new();
        loop {
            let (some, next) = looked(&feed, wanted.clone()).await;
            seen.extend(some);
            wanted.before = next;
            if next.is_none() {
                break;
            }
        }
        assert!(
            seen.into_iter().eq((3..=1_012).rev()),
            "3 is the first that lives"
        );
    }

    #[tokio::test]
    async fn a_type_a_domain_and_a_span_of_time_are_looked_for() {
        let feed = headed(1_012).await;
        let of = |event_type: Option<&str>, domain: Option<&str>| Recent {
            event_type: event_type.map(str::to_owned),
            domain: domain.map(str::to_owned),
            from: Some(moment(995)),
            to: Some(moment(1_006)),
            before: None,
            limit: 100,
        };
        let tens: Vec<u64> = (995..1_006).rev().collect();
        assert_eq!(looked(&feed, of(None, None)).await, (tens, None));
        for (event_type, domain) in [(Some("loan.funded"), None), (None, Some("loan"))] {
            let (found, _) = looked(&feed, of(event_type, domain)).await;
            assert_eq!(found, [1_005, 1_000, 995]);
        }
        let (neither, _) = looked(&feed, of(Some("loan.funded"), Some("member"))).await;
        assert!(neither.is_empty());
        let early = Recent {
            to: Some(moment(1)),
            limit: 9,
            ..Recent::default()
        };
        assert!(looked(&feed, early).await.0.is_empty());
    }

    #[tokio::test]
    async fn what_is_rare_is_looked_for_in_bounded_steps() {
        let feed = headed(6_000).await;
        let rare = Recent {
            event_type: Some("wallet.deposited".into()),
            limit: 1,
            ..Recent::default()
        };
        let (found, next) = looked(&feed, rare.clone()).await;
        assert_eq!((found, next), (Vec::new(), Some(1_001)));
        let (found, next) = looked(
            &feed,
            Recent {
                before: next,
                ..rare
            },
        )
        .await;
        assert_eq!((found, next), (Vec::new(), None));
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
        // Row 7 exists but can be deleted at any moment.
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
}
