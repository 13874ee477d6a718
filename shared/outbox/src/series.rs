//! Series: rows that get consecutive numbers, 1, 2, 3… without gaps, from one head row.
//!
//! The transaction that writes a row also moves the head, on the condition that the head is what was read. So a reader
//! that reads the head consistently finds every row up to it. A decision must not depend on its number: a group commit
//! ([`crate::group`]) gives its members the numbers one after the other, and gives new ones if another writer was
//! faster.

use std::{fmt, sync::Arc};

use serde_json::Value;

use crate::{BuildError, Condition, Error, Item, Key, Outbox, Write, item::whole_number};

/// The attribute of the head row with the last number that was given.
pub const POSITION: &str = "position";

/// The rows of a transaction under the number that they get: each with its key.
type Rows = dyn Fn(u64) -> Result<Vec<(Key, Item)>, Error> + Send + Sync;

/// A series' head, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Series {
    head: Key,
    last: Option<u64>,
}

impl Series {
    /// The head that holds `last`; `None` if it does not exist yet.
    pub(crate) fn of(head: Key, item: Option<Item>) -> Result<Self, Error> {
        let last = item
            .map(|item| whole_number(&head, &item, POSITION))
            .transpose()?;
        Ok(Self { head, last })
    }

    /// The last number that was given; 0 before the first.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.last.unwrap_or(0)
    }

    /// The key of the head row.
    #[must_use]
    pub fn head(&self) -> &Key {
        &self.head
    }

    /// The write that moves the head to a number, if the head is what was read.
    pub(crate) fn moved_to(&self, number: u64) -> Write {
        let mut item = self.head.attributes();
        item.insert(POSITION.to_owned(), Value::from(number));
        Write::Put {
            key: self.head.clone(),
            item,
            condition: self.last.map_or(Condition::Absent, |last| {
                Condition::Equals(vec![(POSITION, Value::from(last))])
            }),
        }
    }
}

impl Outbox {
    /// Reads a series' head. In a group it can be what another member read a moment ago.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the head cannot be read.
    pub async fn series(&self, head: Key) -> Result<Series, Error> {
        let item = self.store().head(&head).await?;
        Series::of(head, item)
    }
}

/// The part of a transaction that depends on its number in a series.
#[derive(Clone)]
pub struct SeriesRows {
    pub(crate) series: Series,
    rows: Arc<Rows>,
    /// Where the head's write is among the transaction's writes. The rows are all writes after it.
    pub(crate) begins_at: usize,
}

impl SeriesRows {
    pub(crate) fn new(
        series: Series,
        rows: impl Fn(u64) -> Result<Vec<(Key, Item)>, Error> + Send + Sync + 'static,
    ) -> Self {
        Self {
            series,
            rows: Arc::new(rows),
            begins_at: 0,
        }
    }

    /// The number after the last one that was given when the head was read.
    pub(crate) fn own(&self) -> u64 {
        self.series.last() + 1
    }

    /// The writes of the rows under a number. None of the rows may exist yet.
    pub(crate) fn rows(&self, number: u64) -> Result<Vec<Write>, BuildError> {
        let rows = (self.rows)(number).map_err(|source| BuildError::Row {
            key: self.series.head.to_string(),
            source: Box::new(source),
        })?;
        let rows = rows.into_iter().map(|(key, item)| Write::Put {
            key,
            item,
            condition: Condition::Absent,
        });
        Ok(rows.collect())
    }
}

impl PartialEq for SeriesRows {
    /// The rows are compared where they are written: among the writes of the transaction.
    fn eq(&self, other: &Self) -> bool {
        self.series == other.series && self.begins_at == other.begins_at
    }
}

impl fmt::Debug for SeriesRows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SeriesRows")
            .field("series", &self.series)
            .field("begins_at", &self.begins_at)
            .finish_non_exhaustive()
    }
}
