//! That the carts that follow from something are to be calculated anew, and the quotes of a sku looked at: a row for each change of it,
//! until all of them are done.
//!
//! The row is written with the mark of the change's event. A job works through the rows, those of the earliest changes first, page by
//! page. Each cart is calculated by what holds at that moment, so a cart that is up to date already stays as it is, and no order of
//! the rows is needed.

use events::{Cause, CorrelationId, EventId, PriceListId, Timestamp};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

use super::Subject;

/// The row.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refresh {
    /// The event that tells of the change.
    pub event_id: EventId,
    /// Its chain.
    pub correlation_id: CorrelationId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// What changed, and is still to be gone through. The first one is under way.
    pub subjects: Vec<Subject>,
    /// A price list of which every sku is to be gone through after these.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub price_list: Option<ListUnderWay>,
    /// Which of those that follow from the first one are under way.
    #[serde(default)]
    pub followers: Followers,
    /// Where they continue; `None`: at their beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// A price list whose skus are gone through, some at a time.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListUnderWay {
    /// The list.
    pub price_list_id: PriceListId,
    /// Where the skus continue; `None`: at their beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
}

/// Who follows from a change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Followers {
    /// Carts, of every subject.
    #[default]
    Carts,
    /// Quotes, of a sku alone. They come after its carts.
    Quotes,
}

impl Refresh {
    const PARTITION: &'static str = "cart_refresh";

    /// The row's key.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sort = format!("{}#{}", self.occurred_at, self.event_id);
        table.key(Self::PARTITION, sort)
    }

    /// The rows, those of the earliest changes in front, at most `limit`.
    #[must_use]
    pub fn first(table: &Table, limit: u32) -> Query {
        Query::partition(table, Self::PARTITION, limit)
    }

    /// Goes on to those that come after the present ones.
    pub(crate) fn go_on(&mut self) {
        self.after = None;
        if let (Followers::Carts, Some(Subject::Sku(_))) = (self.followers, self.subjects.first()) {
            self.followers = Followers::Quotes;
            return;
        }
        self.followers = Followers::Carts;
        if !self.subjects.is_empty() {
            self.subjects.remove(0);
        }
    }

    /// Whether everything was gone through.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.subjects.is_empty() && self.price_list.is_none()
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
