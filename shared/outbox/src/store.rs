//! The store port: what a transactional key-value store must do.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use events::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;
use serde_json::Value;

use crate::{Error, Fault, Item, Key, SeriesRows, SortKey, Table, encode_item};

/// A condition on an item. The write happens only if the condition holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// The item does not exist.
    Absent,
    /// Each attribute has this value (numbers by value).
    Equals(Vec<(&'static str, Value)>),
    /// The item is absent or its `version` is lower: the version guard of a projection.
    OlderThan(u64),
    /// The item exists.
    Present,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Puts the whole item if the condition holds.
    Put {
        /// The item's key.
        key: Key,
        /// All attributes, including those of the key.
        item: Item,
        /// The condition.
        condition: Condition,
    },
    /// Adds to number attributes; an absent item or attribute counts as 0. The write is blind: it needs no read, and a
    /// concurrent change of the item's version does not make it fail.
    Add {
        /// The item's key.
        key: Key,
        /// Each attribute and the amount to add; a negative amount subtracts.
        amounts: Vec<(&'static str, Decimal)>,
    },
    /// Writes nothing, but the transaction commits only if the condition holds.
    Check {
        /// The item's key.
        key: Key,
        /// The condition.
        condition: Condition,
    },
    /// Removes the item if the condition holds.
    Delete {
        /// The item's key.
        key: Key,
        /// The condition.
        condition: Condition,
    },
}

impl Write {
    /// Puts a whole row if a condition holds.
    ///
    /// # Errors
    /// [`Error::Item`] when the row is not a JSON object.
    pub fn put<T: Serialize + ?Sized>(
        key: Key,
        row: &T,
        condition: Condition,
    ) -> Result<Self, Error> {
        let item = encode_item(&key, &row)?;
        Ok(Self::Put {
            key,
            item,
            condition,
        })
    }

    /// The key of the item that is written or checked.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Put { key, .. }
            | Self::Add { key, .. }
            | Self::Check { key, .. }
            | Self::Delete { key, .. } => key,
        }
    }
}

/// A decided transaction, ready to send: a token always goes with the same writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// The client request token, by which DynamoDB recognises a repeat.
    pub token: String,
    /// The writes, the mark first.
    pub writes: Vec<Write>,
    /// Which of the writes depend on a number in a series, if any do. A store writes what is in [`Self::writes`]; only a
    /// group commit reads this.
    pub in_series: Option<SeriesRows>,
}

impl Prepared {
    /// Writes under a token, none of which depends on a number in a series.
    #[must_use]
    pub fn new(token: impl Into<String>, writes: Vec<Write>) -> Self {
        Self {
            token: token.into(),
            writes,
            in_series: None,
        }
    }
}

/// Why a transaction was cancelled: one reason for each write, in the order of the writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// This write was not the cause.
    None,
    /// Its condition did not hold.
    ConditionFailed,
    /// Another transaction is working on this item.
    Conflict,
    /// The table or partition is throttled.
    Throttled,
    /// Any other reason, which a retry cannot change.
    Other(String),
}

/// Why a commit did not report success.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written; each write has its reason.
    #[error("the transaction was cancelled: {0:?}")]
    Cancelled(Vec<Reason>),
    /// Nothing was written: the call was throttled before it began, not permitted, or rejected as malformed.
    #[error(transparent)]
    NotWritten(Fault),
    /// The answer was lost: it is unknown whether the transaction was written.
    #[error(transparent)]
    Unknown(Fault),
}

/// A projection's write: one item with a version guard and without a mark.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardedPut {
    /// The item's key.
    pub key: Key,
    /// All attributes; `version` is set from [`Self::version`].
    pub item: Item,
    /// The version of the state that the event carries.
    pub version: u64,
}

/// The result of a guarded put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// The row was written.
    Applied,
    /// The stored row has the same version or a newer one: nothing was written.
    Ignored,
}

/// A secondary index and its key attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// Its partition key's attribute.
    pub partition: &'static str,
    /// Its sort key's attribute.
    pub sort: &'static str,
}

/// The place where the next page begins: the last key that was read. Opaque to callers.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor(pub Item);

impl Cursor {
    /// The cursor directly after an item: the attributes of the table's key and, for a read by an index, of the
    /// index's key.
    #[must_use]
    pub fn at(table: &Table, index: Option<Index>, item: &Item) -> Self {
        let of_index = index.map(|index| [index.partition, index.sort]);
        let names = [Some(table.partition()), table.sort()]
            .into_iter()
            .flatten();
        Self(
            names
                .chain(of_index.into_iter().flatten())
                .filter_map(|name| Some((name.to_owned(), item.get(name)?.clone())))
                .collect(),
        )
    }

    /// The cursor as text that fits a URL or a command line: base64url of its JSON.
    #[must_use]
    pub fn to_text(&self) -> String {
        URL_SAFE_NO_PAD.encode(Value::Object(self.0.clone()).to_string())
    }

    /// Reads the text that [`Self::to_text`] wrote; `None` if the text is not a cursor.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&json).ok().map(Self)
    }
}

/// The items of one partition, by sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// The table to read.
    pub table: Table,
    /// The index to read instead of the table's own key. Reads by an index are eventually consistent.
    pub index: Option<Index>,
    /// The partition key's value.
    pub pk: String,
    /// The sort key to begin with, inclusive, in the direction of the read.
    pub from: Option<SortKey>,
    /// Only items whose sort key begins with this text.
    pub prefix: Option<String>,
    /// The largest sort key first.
    pub descending: bool,
    /// The largest number of items.
    pub limit: u32,
    /// The cursor to continue after.
    pub after: Option<Cursor>,
}

impl Query {
    /// All items of a partition, smallest sort key first, at most `limit`.
    pub fn partition(table: &Table, pk: impl Into<String>, limit: u32) -> Self {
        Self {
            table: table.clone(),
            index: None,
            pk: pk.into(),
            from: None,
            prefix: None,
            descending: false,
            limit,
            after: None,
        }
    }
}

/// A walk over a whole table. The items come in no order at all: they are not sorted by key, partitions are mixed, and
/// pages have no order either. A reader that needs a partition together or in order uses a [`Query`], which promises
/// both.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// The table to read.
    pub table: Table,
    /// Only items without this attribute.
    pub without: Option<&'static str>,
    /// The largest number of items to read, before the filter.
    pub limit: u32,
    /// The cursor to continue after.
    pub after: Option<Cursor>,
}

/// A page of items.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// The cursor at which the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// A transactional store. Reads of tables MUST be consistent: a read shows every commit that reported success before
/// the read began.
#[async_trait]
pub trait Store: Send + Sync {
    /// Reads one item.
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault>;

    /// Reads the head of a series. Unlike [`Self::get`] it may answer with what was read a moment ago: a commit that numbers by
    /// an old head is cancelled.
    async fn head(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.get(key).await
    }

    /// Reads several items, in the order of the keys. MUST answer for every key or fail.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault>;

    /// Reads a page of a partition. The items MUST be in the order of their sort keys, numbers by value.
    async fn query(&self, query: &Query) -> Result<Page, Fault>;

    /// Reads a page of a table, in no order. An item that exists during the whole walk is returned exactly once.
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault>;

    /// Applies all writes or none. When a token comes again with the same writes (for at least some minutes), the store
    /// MUST report success, or report that the mark's condition failed.
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError>;

    /// Makes one guarded write.
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault>;

    /// Puts items without a condition, each independently. MUST have put every item when it reports success.
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault>;
}

/// Names of attributes that conditions and filters of this crate and its adapters read.
pub mod attribute {
    /// How often the item was written: a whole number from 1.
    pub const VERSION: &str = "version";
    /// The sequence of the aggregate's last event: a whole number from 0.
    pub const LAST_SEQUENCE: &str = "last_sequence";
    /// When the relay published the event; absent on a pending row.
    pub const PUBLISHED_AT: &str = "published_at";
}

/// A moment in the format of DynamoDB's TTL: seconds since 1970.
pub(crate) fn ttl(moment: Timestamp) -> i64 {
    moment.unix_seconds()
}
