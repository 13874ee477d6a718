//! The cursor of an in-order consumer: the position up to which the consumer has handled an aggregate's events. The
//! marks table has one row per consumer and aggregate, which never expires.
//!
//! The row is also the mark of every advance. A transaction moves the cursor to a later position on the condition that
//! the row is still what the decision read, so two runs over the same events can never both commit. A parked event sets
//! [`Blocked`]. A message of a later event then does nothing; the redrive of the parked event goes on from there.

use events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Condition, Done, Error, Guarded, GuardedPut, Item, Key, Mark, MarkError, Outbox, Table,
    decode_item, encode_item, store::attribute,
};

const KIND: &str = "cursor";

/// The parked event that an aggregate waits for. It has to be handled before any later event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// When the event was parked.
    #[serde(rename = "blocked_at")]
    pub at: Timestamp,
    /// The event's sequence.
    #[serde(rename = "blocked_sequence")]
    pub sequence: u64,
    /// The event's identity.
    #[serde(rename = "blocked_event_id")]
    pub event_id: String,
    /// The reason that the dead letter gives.
    #[serde(rename = "blocked_reason")]
    pub reason: String,
}

/// A cursor as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct CursorRow {
    kind: String,
    /// The client request token of the transaction that made the last advance.
    token: String,
    position: u64,
    version: u64,
    updated_at: Timestamp,
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    blocked: Option<Blocked>,
}

/// A consumer's cursor over an aggregate, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    consumer: &'static str,
    aggregate: String,
    row: Option<CursorRow>,
}

impl Progress {
    fn of(consumer: &'static str, aggregate: &str, row: Option<CursorRow>) -> Self {
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

    /// The sequence of the last event that was handled or passed over; 0 if there is none yet.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.position)
    }

    /// The parked event that the aggregate waits for, if it is blocked.
    #[must_use]
    pub fn blocked(&self) -> Option<&Blocked> {
        self.row.as_ref().and_then(|row| row.blocked.as_ref())
    }

    fn version(&self) -> u64 {
        self.row.as_ref().map_or(0, |row| row.version)
    }

    /// Whether the cursor was neither moved nor blocked between two reads.
    #[must_use]
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.version() == other.version()
    }

    /// The cursor after a committed advance from here, for use by the next advance.
    #[must_use]
    pub fn advanced_to(&self, to: u64, now: Timestamp) -> Self {
        Self {
            row: Some(self.row_after(to, String::new(), now)),
            ..self.clone()
        }
    }

    /// The mark of the advance from here to an event's sequence. The advance also ends a block.
    #[must_use]
    pub fn advance(&self, to: u64) -> Mark {
        Mark::Cursor {
            from: self.clone(),
            to,
        }
    }

    /// The key of the cursor's row.
    ///
    /// # Errors
    /// [`MarkError::KeyTooLong`] when the key exceeds DynamoDB's limit.
    pub(crate) fn key(&self, marks: &Table) -> Result<Key, MarkError> {
        cursor_key(marks, self.consumer, &self.aggregate)
    }

    /// The condition that the row is unchanged since this read.
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

    fn row_after(&self, to: u64, token: String, now: Timestamp) -> CursorRow {
        CursorRow {
            kind: KIND.into(),
            token,
            position: to,
            version: self.version() + 1,
            updated_at: now,
            blocked: None,
        }
    }
}

/// The key, in the marks table, of a consumer's cursor over an aggregate (`type#id`).
///
/// # Errors
/// [`MarkError::KeyTooLong`] when the key exceeds DynamoDB's limit.
pub fn cursor_key(marks: &Table, consumer: &str, aggregate: &str) -> Result<Key, MarkError> {
    crate::mark::bounded_key(marks, format!("{KIND}#{consumer}#{aggregate}"))
}

/// The mark of an advance to `to`, read from the cursor's row; `None` if the cursor has not reached `to` yet.
pub(crate) fn done(key: &Key, item: Item, to: u64) -> Result<Option<Done>, Error> {
    let row: CursorRow = decode_item(key, item)?;
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
    /// Reads a consumer's cursor over an aggregate (`type#id`), consistently.
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

    /// Reads a consumer's cursors over several aggregates, in the order of the aggregates.
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

    /// Blocks an aggregate, unless its cursor was moved since it was read. This is one conditional write.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn block(&self, progress: &Progress, blocked: Blocked) -> Result<Guarded, Error> {
        let key = progress.key(self.marks_table()?)?;
        let version = progress.version() + 1;
        let row = CursorRow {
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
        // Each write raises the version by one, on the condition that the row is what was read. So a row that is older
        // than the next version is the row that was read.
        let put = GuardedPut {
            item: encode_item(&key, &row)?,
            key,
            version,
        };
        self.put_guarded(&put).await
    }
}
