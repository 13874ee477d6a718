//! The cursor of an in-order consumer: up to which event of an aggregate it has handled, one row per consumer and
//! aggregate in the marks' table, for ever.
//!
//! The row is the mark of every advance: a transaction moves it from one position to a later one on the condition that it
//! still is what the decision read, so two runs over the same events can never both commit. A parked event sets
//! [`Blocked`]; whoever comes for a later event leaves it to the redrive of that one.

use events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Condition, Done, Error, Guarded, GuardedPut, Item, Key, Mark, MarkError, Outbox, Table,
    decode_item, encode_item, store::attribute,
};

const KIND: &str = "cursor";

/// The event that an aggregate waits for: parked, it has to be handled before anything after it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// When it was parked.
    #[serde(rename = "blocked_at")]
    pub at: Timestamp,
    /// Its number.
    #[serde(rename = "blocked_sequence")]
    pub sequence: u64,
    /// Its identity.
    #[serde(rename = "blocked_event_id")]
    pub event_id: String,
    /// The letter's reason.
    #[serde(rename = "blocked_reason")]
    pub reason: String,
}

/// A cursor as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Row {
    kind: String,
    /// The client request token of the transaction that made the last advance.
    token: String,
    position: u64,
    version: u64,
    updated_at: Timestamp,
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    blocked: Option<Blocked>,
}

/// How far a consumer is with an aggregate, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    consumer: &'static str,
    aggregate: String,
    row: Option<Row>,
}

impl Progress {
    fn of(consumer: &'static str, aggregate: &str, row: Option<Row>) -> Self {
        Self {
            consumer,
            aggregate: aggregate.to_owned(),
            row,
        }
    }

    /// The consumer.
    #[must_use]
    pub fn consumer(&self) -> &'static str {
        self.consumer
    }

    /// The aggregate, `type#id`.
    #[must_use]
    pub fn aggregate(&self) -> &str {
        &self.aggregate
    }

    /// The number of the last event that is handled or passed over; 0 where none is yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.position)
    }

    /// The parked event that the aggregate waits for.
    #[must_use]
    pub fn blocked(&self) -> Option<&Blocked> {
        self.row.as_ref().and_then(|row| row.blocked.as_ref())
    }

    fn version(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.version)
    }

    /// Whether nobody moved or blocked it between two readings.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.version() == other.version()
    }

    /// What it is after an advance from here that was committed; good for the next advance.
    #[must_use]
    pub fn advanced_to(&self, to: u64, now: Timestamp) -> Self {
        Self {
            row: Some(self.row_after(to, String::new(), now)),
            ..self.clone()
        }
    }

    /// The mark of the advance from here to an event's number; it also ends a block.
    #[must_use]
    pub fn advance(&self, to: u64) -> Mark {
        Mark::Cursor {
            from: self.clone(),
            to,
        }
    }

    /// Where the row stands.
    ///
    /// # Errors
    /// [`MarkError::KeyTooLong`].
    pub(crate) fn key(&self, marks: &Table) -> Result<Key, MarkError> {
        cursor_key(marks, self.consumer, &self.aggregate)
    }

    /// What must still hold for anything decided on this reading.
    pub(crate) fn unchanged(&self) -> Condition {
        match &self.row {
            None => Condition::Absent,
            Some(row) => Condition::Equals(vec![(attribute::VERSION, row.version.into())]),
        }
    }

    /// The row after an advance.
    pub(crate) fn advanced(
        &self,
        marks: &Table,
        to: u64,
        token: &str,
        now: Timestamp,
    ) -> Result<Item, Error> {
        encode_item(&self.key(marks)?, &self.row_after(to, token.into(), now))
    }

    fn row_after(&self, to: u64, token: String, now: Timestamp) -> Row {
        Row {
            kind: KIND.into(),
            token,
            position: to,
            version: self.version() + 1,
            updated_at: now,
            blocked: None,
        }
    }
}

/// Where the cursor of a consumer over an aggregate (`type#id`) stands in the marks' table.
///
/// # Errors
/// [`MarkError::KeyTooLong`].
pub fn cursor_key(marks: &Table, consumer: &str, aggregate: &str) -> Result<Key, MarkError> {
    crate::mark::bounded_key(marks, format!("{KIND}#{consumer}#{aggregate}"))
}

/// An advance as a mark that was found done; `None` where the cursor is not that far yet.
pub(crate) fn done(key: &Key, item: Item, to: u64) -> Result<Option<Done>, Error> {
    let row: Row = decode_item(key, item)?;
    Ok((row.position >= to).then_some(Done {
        kind: row.kind,
        token: row.token,
        created_at: row.updated_at,
        expires_at: None,
        body_sha256: None,
        fence: None,
        answer: None,
    }))
}

impl Outbox {
    /// How far a consumer is with an aggregate (`type#id`), read consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn progress(
        &self,
        consumer: &'static str,
        aggregate: &str,
    ) -> Result<Progress, Error> {
        let key = cursor_key(self.marks_table()?, consumer, aggregate)?;
        let row = self.row(&key).await?;
        Ok(Progress::of(consumer, aggregate, row))
    }

    /// How far a consumer is with several aggregates, in their order.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn progress_of(
        &self,
        consumer: &'static str,
        aggregates: &[String],
    ) -> Result<Vec<Progress>, Error> {
        let marks = self.marks_table()?;
        let keys = aggregates
            .iter()
            .map(|aggregate| cursor_key(marks, consumer, aggregate))
            .collect::<Result<Vec<_>, _>>()?;
        let items = self.store().get_many(&keys).await?;
        let read = keys.iter().zip(items).zip(aggregates);
        read.map(|((key, item), aggregate)| {
            let row = item.map(|item| decode_item(key, item)).transpose()?;
            Ok(Progress::of(consumer, aggregate, row))
        })
        .collect()
    }

    /// Sets a block on an aggregate, if nobody moved its cursor since it was read. One conditional write.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn block(&self, progress: &Progress, blocked: Blocked) -> Result<Guarded, Error> {
        let key = progress.key(self.marks_table()?)?;
        let version = progress.version() + 1;
        let row = Row {
            kind: KIND.into(),
            token: progress
                .row
                .as_ref()
                .map_or_else(String::new, |row| row.token.clone()),
            position: progress.position(),
            version,
            updated_at: self.clock().now(),
            blocked: Some(blocked),
        };
        // Versions go up by one and only if they were read: what is older than the next one is what was read.
        let put = GuardedPut {
            item: encode_item(&key, &row)?,
            key,
            version,
        };
        self.put_guarded(&put).await
    }
}
