//! The store port: what a transactional key-value store must do.

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use events::Timestamp;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{Fault, Item, Key, SortKey, Table};

/// What must hold of an item for a write to happen.
#[derive(Debug, Clone, PartialEq)]
pub enum Condition {
    /// There is no such item.
    Absent,
    /// Each attribute has this value (numbers by value).
    Equals(Vec<(&'static str, Value)>),
    /// The item is absent or its `version` is lower: the guard of a projection.
    OlderThan(u64),
    /// The item exists.
    Present,
}

/// One write of a transaction.
#[derive(Debug, Clone, PartialEq)]
pub enum Write {
    /// Puts the whole item where the condition holds.
    Put {
        /// Which.
        key: Key,
        /// All its attributes, the key's among them.
        item: Item,
        /// When.
        condition: Condition,
    },
    /// Adds to number attributes; an absent item or attribute counts as 0. Blind: needs no read, never conflicts by
    /// version.
    Add {
        /// Which.
        key: Key,
        /// Attribute and what to add; negative takes away.
        amounts: Vec<(&'static str, Decimal)>,
    },
    /// Writes nothing, but the transaction happens only where the condition holds.
    Check {
        /// Which.
        key: Key,
        /// What must hold.
        condition: Condition,
    },
    /// Removes the item where the condition holds.
    Delete {
        /// Which.
        key: Key,
        /// When.
        condition: Condition,
    },
}

impl Write {
    /// Which item is written or checked.
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

/// A decided transaction: the same token always goes with the same writes.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Client request token.
    pub token: String,
    /// The writes, the mark first.
    pub writes: Vec<Write>,
}

/// Why one write of a transaction did not happen, in the writes' order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// Nothing was wrong with this one.
    None,
    /// Its condition did not hold.
    ConditionFailed,
    /// Another transaction has this item in hand.
    Conflict,
    /// The table or partition is throttled.
    Throttled,
    /// Anything else, which no repeat changes.
    Other(String),
}

/// Why a commit did not answer with success.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Nothing was written; a reason per write.
    #[error("the transaction was cancelled: {0:?}")]
    Cancelled(Vec<Reason>),
    /// Nothing was written: throttled before it began, not permitted, or refused as malformed.
    #[error(transparent)]
    NotWritten(Fault),
    /// The answer was lost: it may or may not have been written.
    #[error(transparent)]
    Unknown(Fault),
}

/// A projection's write: one item, one condition on version, no mark.
#[derive(Debug, Clone, PartialEq)]
pub struct GuardedPut {
    /// Which.
    pub key: Key,
    /// All its attributes; `version` is set from [`Self::version`].
    pub item: Item,
    /// The version of the state the event states.
    pub version: u64,
}

/// What became of a guarded put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarded {
    /// Written.
    Applied,
    /// The row is as new or newer: ignored.
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

/// Where to go on: the last key that was read. Opaque to callers.
#[derive(Debug, Clone, PartialEq)]
pub struct Cursor(pub Item);

impl Cursor {
    /// Behind this item: the attributes of the table's key and, read by an index, of the index's.
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

    /// Reads [`Self::to_text`]'s text; `None` when it is none.
    #[must_use]
    pub fn from_text(text: &str) -> Option<Self> {
        let json = URL_SAFE_NO_PAD.decode(text).ok()?;
        serde_json::from_slice(&json).ok().map(Self)
    }
}

/// The items of one partition, by sort key.
#[derive(Debug, Clone, PartialEq)]
pub struct Query {
    /// In which table.
    pub table: Table,
    /// By an index instead of the table's own key; then reads are eventually consistent.
    pub index: Option<Index>,
    /// The partition.
    pub pk: String,
    /// From this sort key on (inclusive, in the direction's sense).
    pub from: Option<SortKey>,
    /// Only sort keys that begin so.
    pub prefix: Option<String>,
    /// Largest first.
    pub descending: bool,
    /// At most so many items.
    pub limit: u32,
    /// Go on behind this.
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

/// A walk over a whole table. Its items come in no order at all: neither by key, nor one partition after the other, nor
/// across pages. A reader that needs a partition together or in order makes a [`Query`], which promises both.
#[derive(Debug, Clone, PartialEq)]
pub struct Scan {
    /// Which.
    pub table: Table,
    /// Only items without this attribute.
    pub without: Option<&'static str>,
    /// Read at most so many items (before the filter).
    pub limit: u32,
    /// Go on behind this.
    pub after: Option<Cursor>,
}

/// A page of items.
#[derive(Debug, Clone, PartialEq)]
pub struct Page {
    /// The items.
    pub items: Vec<Item>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<Cursor>,
}

/// A transactional store. Reads of tables MUST be consistent: they show every commit that answered before they began.
#[async_trait]
pub trait Store: Send + Sync {
    /// One item.
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault>;

    /// Several items, in the keys' order. MUST answer for every key or fail.
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault>;

    /// A page of a partition. MUST be in the order of the sort keys, numbers by value.
    async fn query(&self, query: &Query) -> Result<Page, Fault>;

    /// A page of a table, in no order: each item that is there from beginning to end of a walk comes once.
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault>;

    /// All writes or none. MUST treat a token it has seen with the same writes as done (for at least minutes), or fail
    /// the mark's condition.
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError>;

    /// One guarded write.
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault>;

    /// Puts items without condition, each by itself. MUST have put every one of them when it answers with success.
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault>;
}

/// Names of attributes that conditions and filters of this crate and its adapters read.
pub mod attribute {
    /// How often the item was written; whole number from 1.
    pub const VERSION: &str = "version";
    /// The sequence of the aggregate's last event; whole number from 0.
    pub const LAST_SEQUENCE: &str = "last_sequence";
    /// When the relay published the event; absent on a pending row.
    pub const PUBLISHED_AT: &str = "published_at";
}

/// A moment as DynamoDB's TTL wants it.
pub(crate) fn ttl(moment: Timestamp) -> i64 {
    moment.unix_seconds()
}
