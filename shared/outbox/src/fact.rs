//! Facts: what is recorded once and forever, whoever asks and under whichever request. A fact is a row of the domain's
//! table that the recording transaction puts if it is absent. The row never expires, unlike a mark.
//!
//! A decision reads the fact first and refuses with what the row says. If two transactions record a fact at the same
//! time, one of them conflicts, decides again, and finds the row.

use events::{EventType, IdempotencyKey};
use serde::{Serialize, de::DeserializeOwned};

use crate::{BuildError, Error, Key, Outbox, Table, Transaction, mark::event_identity};

/// The name of a fact, unique in its table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact(String);

/// A fact that a domain names, for example `stripe/{charge_id}`. The event that announces it carries the same key.
impl From<&IdempotencyKey> for Fact {
    fn from(key: &IdempotencyKey) -> Self {
        Self(key.to_string())
    }
}

impl Fact {
    /// The fact that another system's event announces. Other systems name facts independently, so the name holds for
    /// the event's type and aggregate (`type#id`) only.
    #[must_use]
    pub fn of_event(event_type: &EventType, aggregate: &str, key: &IdempotencyKey) -> Self {
        Self(event_identity(event_type, aggregate, key))
    }

    /// The key of the fact's row.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        table.key(format!("fact#{}", self.0), "fact")
    }
}

impl Transaction {
    /// Records a fact forever: a row in the domain's table, put if absent, without expiry. `row` says what made it true.
    ///
    /// # Errors
    /// [`BuildError::Row`] when the row is not a JSON object.
    pub fn fact<T: Serialize>(
        &mut self,
        table: &Table,
        fact: impl Into<Fact>,
        row: &T,
    ) -> Result<(), BuildError> {
        self.insert(fact.into().key(table), row)
    }
}

impl Outbox {
    /// Reads what a fact's row says, consistently; `None` if the fact is not recorded.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn fact<T: DeserializeOwned>(
        &self,
        table: &Table,
        fact: impl Into<Fact>,
    ) -> Result<Option<T>, Error> {
        self.row(&fact.into().key(table)).await
    }
}
