//! What the lines of carts follow from, and the rows by which a change of it finds the carts.

use std::fmt;

use events::{CartId, CustomerId, Sku, TierName};
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

/// Something that the lines of carts follow from.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// A sku: its prices, its product, its stock.
    Sku(Sku),
    /// The percentage of a tier.
    Tier(TierName),
    /// A customer: its tier, its country, its type.
    Customer(CustomerId),
}

/// That the lines of a cart follow from a subject. The key has all of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watch {
    /// The cart.
    pub cart_id: CartId,
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sku(sku) => write!(f, "sku/{sku}"),
            Self::Tier(tier) => write!(f, "tier/{tier}"),
            Self::Customer(customer_id) => write!(f, "customer/{customer_id}"),
        }
    }
}

impl Subject {
    fn partition(&self) -> String {
        format!("cart_watch#{self}")
    }

    /// The key of the row of a cart.
    #[must_use]
    pub fn key(&self, table: &Table, cart_id: CartId) -> Key {
        table.key(self.partition(), cart_id.to_string())
    }

    /// A page of the carts whose lines follow from it ([`Watch`]), by their ids.
    #[must_use]
    pub fn carts(&self, table: &Table, limit: u32, after: Option<Cursor>) -> Query {
        Query {
            after,
            ..Query::partition(table, self.partition(), limit)
        }
    }
}
