//! The row that a consumer writes about an event that it parks. The event's journey reads this row, because a message
//! in a queue can be received but not looked up.

use events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Guarded, GuardedPut, Key, MARK_LIFE, MarkError, Outbox, Table, encode_item,
    mark::bounded_key, store::ttl,
};

const KIND: &str = "parked";

/// How much of the error chain the row keeps, in bytes. With it the whole row costs about two write units. The dead
/// letter has the rest of the chain.
const ERROR_BYTES: usize = 1_024;

/// The record of an event that a consumer parked. The consumer's mark, cursor or projection takes precedence over it:
/// an event that was handled after a redrive has both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The reason that the dead letter gives: `invalid`, `retries_exhausted`, …
    pub reason: String,
    /// The error chain; a long one is cut.
    pub error: String,
    /// How often the message was received.
    pub attempts: u32,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
}

#[derive(Serialize)]
struct ParkedRow<'a> {
    kind: &'static str,
    expires_at: i64,
    #[serde(flatten)]
    parked: &'a Parked,
}

/// The key, in the marks table, of a consumer's record that it parked an event.
///
/// # Errors
/// [`MarkError::KeyTooLong`] when the key exceeds DynamoDB's limit.
pub fn parked_key(marks: &Table, consumer: &str, event_id: &str) -> Result<Key, MarkError> {
    bounded_key(marks, format!("{KIND}#{consumer}#{event_id}"))
}

impl Outbox {
    /// Records that a consumer parked an event. The later of two records stays. An outbox without a marks table records
    /// nothing.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn note_parked(
        &self,
        consumer: &str,
        event_id: &str,
        mut parked: Parked,
    ) -> Result<(), Error> {
        let Ok(marks) = self.marks_table() else {
            return Ok(());
        };
        let key = parked_key(marks, consumer, event_id)?;
        let cut = parked.error.floor_char_boundary(ERROR_BYTES);
        parked.error.truncate(cut);
        let row = ParkedRow {
            kind: KIND,
            expires_at: ttl(parked.parked_at.plus(MARK_LIFE)),
            parked: &parked,
        };
        let version = u64::try_from(parked.parked_at.unix_millis()).unwrap_or_default();
        let item = encode_item(&key, &row)?;
        let (Guarded::Applied | Guarded::Ignored) =
            self.put_guarded(&GuardedPut { key, item, version }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use events::Registry;

    use super::*;
    use crate::{SystemClock, memory::MemoryStore};

    fn parked(reason: &str, second: i64) -> Parked {
        Parked {
            reason: reason.into(),
            error: "ä".repeat(ERROR_BYTES),
            attempts: 4,
            first_received_at: Timestamp::EPOCH,
            parked_at: Timestamp::from_unix_millis(second * 1_000).unwrap(),
        }
    }

    #[tokio::test]
    async fn the_later_of_two_stays_with_the_beginning_of_its_error() {
        let (store, marks) = (Arc::new(MemoryStore::new()), Table::marks("marks"));
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let outbox = Outbox::without_log(store, clock, registry, marks.clone());
        for (reason, second) in [("first", 1), ("later", 3), ("late copy", 2)] {
            let parked = parked(reason, second);
            outbox.note_parked("c", "e", parked).await.unwrap();
        }
        let key = parked_key(&marks, "c", "e").unwrap();
        let kept: Parked = outbox.row(&key).await.unwrap().unwrap();
        assert_eq!(kept.reason, "later");
        assert_eq!(kept.error.len(), ERROR_BYTES);
    }
}
