//! What a consumer writes down of an event that it parks, so that whoever asks for the event's journey is told: a message in a
//! queue can be received, but not looked up.

use events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Guarded, GuardedPut, Key, MARK_LIFE, MarkError, Outbox, Table, encode_item,
    mark::bounded_key, store::ttl,
};

const KIND: &str = "parked";

/// How much of the error chain the row keeps, in bytes: with the rest of it the row stays about two write units. All of it is in
/// the dead letter.
const ERROR_BYTES: usize = 1_024;

/// An event that a consumer parked. The consumer's mark, cursor or projection outranks it: an event that was handled after it was
/// sent back has both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The word of the dead letter: `invalid`, `retries_exhausted`, …
    pub reason: String,
    /// The error chain, or the beginning of a long one.
    pub error: String,
    /// How often the message had been received.
    pub attempts: u32,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
}

#[derive(Serialize)]
struct Row<'a> {
    kind: &'static str,
    expires_at: i64,
    #[serde(flatten)]
    parked: &'a Parked,
}

/// Where a consumer writes down that it parked an event, in the marks' table.
///
/// # Errors
/// [`MarkError::KeyTooLong`].
pub fn parked_key(marks: &Table, consumer: &str, event_id: &str) -> Result<Key, MarkError> {
    bounded_key(marks, format!("{KIND}#{consumer}#{event_id}"))
}

impl Outbox {
    /// Writes down that a consumer parked an event; the later one of two stays. Without marks there is nowhere to write it, and
    /// nothing is.
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
        let row = Row {
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
