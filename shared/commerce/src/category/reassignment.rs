//! That the products of a category and the categories below it are to go elsewhere, because it is being deleted: a row, until all of
//! them have gone.

use events::{CategoryId, Cause, CorrelationId, EventId};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

/// The row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reassignment {
    /// The number of the change of the tree that began it. What is in one category can go to another one that is deleted later; the
    /// earlier deletion is done first, so the other category is still there.
    pub number: u64,
    /// The category that is being deleted.
    pub category_id: CategoryId,
    /// The event that tells that it is.
    pub event_id: EventId,
    /// Its chain.
    pub correlation_id: CorrelationId,
}

impl Reassignment {
    const PARTITION: &'static str = "category_work";

    /// The row's key.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        // As many digits as the largest number has, so that texts sort like numbers.
        table.key(Self::PARTITION, format!("{:020}", self.number))
    }

    /// The row of the earliest deletion.
    #[must_use]
    pub fn first(table: &Table) -> Query {
        Query::partition(table, Self::PARTITION, 1)
    }

    /// The cause of what it changes.
    #[must_use]
    pub fn cause(&self) -> Cause {
        Cause {
            correlation_id: Some(self.correlation_id),
            event_id: Some(self.event_id),
            ..Cause::default()
        }
    }
}
