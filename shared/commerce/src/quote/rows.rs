//! The rows beside a quote, by which it is found: from the skus of its lines, from its cart, and when its time is over.

use events::{CartId, QuoteId, Sku, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

use super::Quote;
use crate::cart::Subject;

/// That a quote has a line of a sku. It is written with the quote. Whoever meets the row of a quote that is not open any more removes
/// it, and what nobody meets expires.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The quote.
    pub quote_id: QuoteId,
    /// When the quote can no longer be accepted.
    pub valid_until: Timestamp,
    /// When the row may be removed, in seconds since 1970.
    pub expires_at: i64,
}

impl Watch {
    /// The row of a quote.
    #[must_use]
    pub fn of(quote: &Quote) -> Self {
        Self {
            quote_id: quote.quote_id,
            valid_until: quote.valid_until,
            expires_at: quote.valid_until.unix_seconds(),
        }
    }

    fn partition(sku: &Sku) -> String {
        format!("quote_watch#{}", Subject::Sku(sku.clone()))
    }

    /// The row's key, for this sku.
    #[must_use]
    pub fn key(&self, table: &Table, sku: &Sku) -> Key {
        table.key(Self::partition(sku), self.quote_id.to_string())
    }

    /// A page of the quotes with a line of this sku, by their ids.
    #[must_use]
    pub fn quotes(table: &Table, sku: &Sku, limit: u32, after: Option<Cursor>) -> Query {
        Query {
            after,
            ..Query::partition(table, Self::partition(sku), limit)
        }
    }
}

/// Which quote was made last from a cart.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Last {
    /// The quote.
    pub quote_id: QuoteId,
}

impl Last {
    /// The row's key, for this cart.
    #[must_use]
    pub fn key(table: &Table, cart_id: CartId) -> Key {
        table.key(format!("cart#{cart_id}"), "quote")
    }
}

/// The row by which a quote is looked at when its time is over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The quote.
    pub quote_id: QuoteId,
    /// When it is looked at: when it can no longer be accepted.
    pub look_at: Timestamp,
}

impl Due {
    const PARTITION: &'static str = "quote_due";

    /// The row of a quote.
    #[must_use]
    pub fn of(quote: &Quote) -> Self {
        Self {
            quote_id: quote.quote_id,
            look_at: quote.valid_until,
        }
    }

    /// The row's key.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sort = format!("{}#{}", self.look_at, self.quote_id);
        table.key(Self::PARTITION, sort)
    }

    /// The rows, those that come first in front, at most `limit`.
    #[must_use]
    pub fn first(table: &Table, limit: u32) -> Query {
        Query::partition(table, Self::PARTITION, limit)
    }
}
