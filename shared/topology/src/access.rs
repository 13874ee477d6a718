//! Tables, and what a function is allowed to do with them.

/// A DynamoDB table.
#[derive(Debug)]
pub struct Table {
    /// Its logical id in the template, before `Table`: `Cloud`.
    pub id: &'static str,
    /// The setting that gives functions its name: `CLOUD_TABLE`.
    pub setting: &'static str,
    /// What it holds, as people read it.
    pub holds: &'static str,
    /// Its primary key.
    pub key: Key,
    /// Its global secondary indexes.
    pub indexes: &'static [Index],
    /// Whether its rows can expire (`expires_at`, in seconds since 1970).
    pub expires: bool,
    /// Whether it has a stream. Only the event log has one.
    pub stream: bool,
}

impl Table {
    /// A table with the usual key, without index, expiry and stream.
    #[must_use]
    pub const fn new(id: &'static str, setting: &'static str, holds: &'static str) -> Self {
        Self {
            id,
            setting,
            holds,
            key: Key::PkSk,
            indexes: &[],
            expires: false,
            stream: false,
        }
    }

    /// Lets its rows expire by `expires_at`.
    #[must_use]
    pub const fn expiring(mut self) -> Self {
        self.expires = true;
        self
    }

    /// Its logical id in the template: `CloudTable`.
    #[must_use]
    pub fn logical_id(&self) -> String {
        format!("{}Table", self.id)
    }
}

impl PartialEq for Table {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id
    }
}

impl Eq for Table {}

/// A table's primary key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// `pk` and `sk`, both text.
    PkSk,
    /// The key of the event log: `aggregate` and the number `sequence`.
    Aggregate,
    /// The key of the marks: `mark` alone.
    Mark,
}

/// A global secondary index. All indexes are sparse: they contain only rows that carry their attributes.
#[derive(Debug)]
pub struct Index {
    /// Its name.
    pub name: &'static str,
    /// The attribute of its partition key, text.
    pub hash: &'static str,
    /// The attribute of its sort key, text.
    pub range: &'static str,
    /// Which attributes of a row it contains.
    pub projection: Projection,
    /// Which rows carry the attributes, and what reads the index.
    pub about: &'static str,
}

/// Which attributes of a row an index contains.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Projection {
    /// All of them.
    All,
    /// Only the keys.
    KeysOnly,
}

/// An action on the items of a table. A transaction needs the permissions for the actions of its parts
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis-iam.html>, read 2026-11-28).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// Read one item.
    Get,
    /// Read many items by their keys.
    BatchGet,
    /// Read the items of a partition.
    Query,
    /// Read the whole table.
    Scan,
    /// Write one whole item.
    Put,
    /// Change one item.
    Update,
    /// Delete one item.
    Delete,
    /// Let a transaction depend on an item.
    Check,
    /// Write many whole items.
    BatchWrite,
}

impl Action {
    /// Its action name in IAM.
    #[must_use]
    pub const fn iam(self) -> &'static str {
        match self {
            Self::Get => "dynamodb:GetItem",
            Self::BatchGet => "dynamodb:BatchGetItem",
            Self::Query => "dynamodb:Query",
            Self::Scan => "dynamodb:Scan",
            Self::Put => "dynamodb:PutItem",
            Self::Update => "dynamodb:UpdateItem",
            Self::Delete => "dynamodb:DeleteItem",
            Self::Check => "dynamodb:ConditionCheckItem",
            Self::BatchWrite => "dynamodb:BatchWriteItem",
        }
    }

    /// Whether it changes items.
    #[must_use]
    pub const fn writes(self) -> bool {
        matches!(
            self,
            Self::Put | Self::Update | Self::Delete | Self::BatchWrite
        )
    }
}

/// What a function is allowed to do with a table.
#[derive(Debug)]
pub struct Access {
    /// The table.
    pub table: &'static Table,
    /// The actions on the table itself.
    pub actions: &'static [Action],
    /// The indexes that the function can query.
    pub indexes: &'static [&'static str],
    /// Whether the function also works if the table is not deployed. Its setting is then absent.
    pub optional: bool,
}

impl Access {
    /// These actions on a table.
    #[must_use]
    pub const fn to(table: &'static Table, actions: &'static [Action]) -> Self {
        Self {
            table,
            actions,
            indexes: &[],
            optional: false,
        }
    }

    /// Adds queries of these indexes.
    #[must_use]
    pub const fn and_indexes(mut self, indexes: &'static [&'static str]) -> Self {
        self.indexes = indexes;
        self
    }

    /// Makes the access optional: the function also works if the table is not deployed.
    #[must_use]
    pub const fn if_deployed(mut self) -> Self {
        self.optional = true;
        self
    }
}
