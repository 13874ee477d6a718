//! The event log: the rows of an aggregate are its history; a row not yet published is pending.

use events::{Envelope, Retention, Sequence, Timestamp};
use serde_json::Value;

use crate::{
    Cursor, Error, Item, Key, Outbox, Query, SortKey, Store, Table, execute::item_text,
    store::attribute,
};

const ENVELOPE: &str = "envelope";
const EVENT_ID: &str = "event_id";
const EVENT_TYPE: &str = "event_type";
const COMMITTED_AT: &str = "committed_at";
const RETENTION_DAYS: &str = "retention_days";
const EXPIRES_AT: &str = "expires_at";
const FAILED_AT: &str = "failed_at";
const LAST_ERROR: &str = "last_error";

pub(crate) fn row_item(
    key: &Key,
    envelope: &Envelope,
    json: &str,
    committed_at: Timestamp,
    retention: Retention,
) -> Item {
    let mut item = key.attributes();
    item.insert(ENVELOPE.into(), json.into());
    item.insert(EVENT_ID.into(), envelope.event_id.to_string().into());
    item.insert(EVENT_TYPE.into(), envelope.event_type.as_str().into());
    item.insert(COMMITTED_AT.into(), committed_at.to_string().into());
    if let Retention::Days(days) = retention {
        item.insert(RETENTION_DAYS.into(), days.into());
    }
    item
}

/// A row of the event log for the relay and the operator's tools: the stored item and its main attributes, parsed.
#[derive(Debug, Clone, PartialEq)]
pub struct LogRow {
    item: Item,
    /// The partition key: `aggregate_type#aggregate_id`.
    pub aggregate: String,
    /// The sort key.
    pub sequence: u64,
    /// The event's identity.
    pub event_id: String,
    /// The event's type.
    pub event_type: String,
    /// When it was committed.
    pub committed_at: Timestamp,
}

impl LogRow {
    /// Reads a row.
    ///
    /// # Errors
    /// The name of the attribute that is missing or malformed.
    pub fn read(item: Item) -> Result<Self, &'static str> {
        let text = |name: &'static str| item_text(&item, name).map(str::to_owned).ok_or(name);
        text(ENVELOPE)?;
        Ok(Self {
            aggregate: text("aggregate")?,
            sequence: item
                .get("sequence")
                .and_then(Value::as_u64)
                .ok_or("sequence")?,
            event_id: text(EVENT_ID)?,
            event_type: text(EVENT_TYPE)?,
            committed_at: text(COMMITTED_AT)?.parse().map_err(|_| COMMITTED_AT)?,
            item,
        })
    }

    /// The row as it is stored.
    pub(crate) fn item(&self) -> &Item {
        &self.item
    }

    /// The place directly after the row in a walk over the whole log.
    #[must_use]
    pub fn cursor(&self, events: &Table) -> Cursor {
        Cursor::at(events, None, &self.item)
    }

    /// The envelope, byte for byte.
    #[must_use]
    pub fn envelope_json(&self) -> &str {
        item_text(&self.item, ENVELOPE).unwrap_or_default()
    }

    /// When it was published; `None` while pending.
    #[must_use]
    pub fn published_at(&self) -> Option<Timestamp> {
        item_text(&self.item, attribute::PUBLISHED_AT).and_then(|text| text.parse().ok())
    }

    /// When the bus refused it permanently.
    #[must_use]
    pub fn failed_at(&self) -> Option<Timestamp> {
        item_text(&self.item, FAILED_AT).and_then(|text| text.parse().ok())
    }

    /// Why the bus refused it.
    #[must_use]
    pub fn last_error(&self) -> Option<&str> {
        item_text(&self.item, LAST_ERROR)
    }

    /// The same row, marked as published. From now on it expires after the retention of its contract.
    #[must_use]
    pub fn published(&self, now: Timestamp) -> Item {
        let mut item = self.item.clone();
        item.remove(FAILED_AT);
        item.remove(LAST_ERROR);
        item.insert(attribute::PUBLISHED_AT.into(), now.to_string().into());
        if let Some(days) = item.get(RETENTION_DAYS).and_then(Value::as_i64) {
            item.insert(
                EXPIRES_AT.into(),
                Value::from(now.unix_seconds() + days * 86_400),
            );
        }
        item
    }

    /// The same row, marked as permanently refused by the bus. It stays pending until an operator fixes the cause and
    /// republishes it.
    #[must_use]
    pub fn failed(&self, now: Timestamp, error: &str) -> Item {
        let mut item = self.item.clone();
        item.insert(FAILED_AT.into(), now.to_string().into());
        item.insert(LAST_ERROR.into(), error.into());
        item
    }
}

/// The direction in which a history is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// From the first event forwards.
    #[default]
    OldestFirst,
    /// From the last event backwards.
    NewestFirst,
}

/// A page of an aggregate's history.
#[derive(Debug)]
pub struct History {
    /// The envelopes as they were committed, sorted by sequence in the direction of the read.
    pub envelopes: Vec<Box<serde_json::value::RawValue>>,
    /// The sequence at which the next page begins; `None` at the end.
    pub next: Option<Sequence>,
}

/// Reads at most `limit` (1 to 100) events of an aggregate, sorted by sequence. The page begins with `from`. Without
/// `from` it begins with the first event or, newest first, with the last.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn history(
    store: &dyn Store,
    events: &Table,
    aggregate: &str,
    direction: Direction,
    from: Option<Sequence>,
    limit: u32,
) -> Result<History, Error> {
    let mut query = Query::partition(events, aggregate, limit.clamp(1, 100));
    query.from = from.map(|from| SortKey::Number(from.number()));
    query.descending = direction == Direction::NewestFirst;
    let page = store.query(&query).await?;
    let mut envelopes = Vec::with_capacity(page.items.len());
    let mut last = None;
    for item in page.items {
        let row = LogRow::read(item).map_err(|name| unreadable(events, aggregate, name))?;
        last = Some(row.sequence);
        let raw = serde_json::value::RawValue::from_string(row.envelope_json().to_owned());
        envelopes.push(raw.map_err(|source| Error::Item {
            key: format!("{aggregate}/{}", row.sequence),
            source,
        })?);
    }
    let beyond = |last: u64| match direction {
        Direction::OldestFirst => last + 1,
        Direction::NewestFirst => last - 1,
    };
    let next = last.filter(|_| page.next.is_some());
    let next = next.and_then(|last| Sequence::new(beyond(last)).ok());
    Ok(History { envelopes, next })
}

/// Reads at most `limit` (1 to 100) of an aggregate's rows after a position, sorted by sequence, and whether there are
/// more. The read is consistent: it includes every event that was committed before the call began, unless its retention
/// is over.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn rows_after(
    store: &dyn Store,
    events: &Table,
    aggregate: &str,
    position: u64,
    limit: u32,
) -> Result<(Vec<LogRow>, bool), Error> {
    let mut query = Query::partition(events, aggregate, limit.clamp(1, 100));
    query.from = Some(SortKey::Number(position + 1));
    let page = store.query(&query).await?;
    let rows = page
        .items
        .into_iter()
        .map(|item| LogRow::read(item).map_err(|name| unreadable(events, aggregate, name)))
        .collect::<Result<_, _>>()?;
    Ok((rows, page.next.is_some()))
}

fn unreadable(events: &Table, aggregate: &str, attribute: &str) -> Error {
    Error::Item {
        key: format!("{}/{aggregate}", events.name()),
        source: serde::de::Error::custom(format!("attribute {attribute} is missing or malformed")),
    }
}

/// Reads a page of pending rows of the whole log, in no order. It reads at most `limit` rows. For `republish`, which
/// limits its own rate.
///
/// # Errors
/// [`Error`] when the store fails. A row that cannot be read is returned as the name of its faulty attribute.
pub async fn pending(
    store: &dyn Store,
    events: &Table,
    after: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Result<LogRow, &'static str>>, Option<Cursor>), Error> {
    let without = Some(attribute::PUBLISHED_AT);
    scan(store, events, without, after, limit).await
}

/// Reads a page of the whole log, in no order. It reads at most `limit` rows. For replays, which limit their own rate.
///
/// # Errors
/// As [`pending`].
pub async fn rows_of_all(
    store: &dyn Store,
    events: &Table,
    after: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Result<LogRow, &'static str>>, Option<Cursor>), Error> {
    scan(store, events, None, after, limit).await
}

async fn scan(
    store: &dyn Store,
    events: &Table,
    without: Option<&'static str>,
    after: Option<Cursor>,
    limit: u32,
) -> Result<(Vec<Result<LogRow, &'static str>>, Option<Cursor>), Error> {
    let scan = crate::Scan {
        table: events.clone(),
        without,
        limit,
        after,
    };
    let page = store.scan(&scan).await?;
    Ok((
        page.items.into_iter().map(LogRow::read).collect(),
        page.next,
    ))
}

impl Outbox {
    /// Reads an aggregate's rows after a position; see [`rows_after`].
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn rows_after(
        &self,
        aggregate: &str,
        position: u64,
        limit: u32,
    ) -> Result<(Vec<LogRow>, bool), Error> {
        rows_after(
            self.store(),
            self.events_table()?,
            aggregate,
            position,
            limit,
        )
        .await
    }

    /// Reads an aggregate's history from an event onwards; see [`history`].
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn history(
        &self,
        aggregate: &str,
        from: Sequence,
        limit: u32,
    ) -> Result<History, Error> {
        let (log, forward) = (self.events_table()?, Direction::OldestFirst);
        history(self.store(), log, aggregate, forward, Some(from), limit).await
    }
}
