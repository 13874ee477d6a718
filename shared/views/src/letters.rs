//! Dead letters as those read them who do not change them: the unresolved ones, and the bodies.
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `letter#<letter_id>` | `letter` | the letter; in the index `listed` while it exists |
//! | the same | `body` | the message that was parked: its body and its attributes |

use std::collections::BTreeMap;

use events::Timestamp;
use outbox::{Cursor, Index, Key, Query, Table};
use serde::Deserialize;

/// The index by which letters are listed, the last parked at the end.
pub const LISTED: Index = Index {
    name: "listed",
    partition: "listed",
    sort: "listed_at",
};

/// The partition of [`LISTED`] with the letters that are neither handled nor discarded.
pub const UNRESOLVED: &str = "unresolved";

/// A dead letter, as far as readers need it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Letter {
    /// `letter#<letter_id>`.
    pub pk: String,
    /// The consumer that it concerns.
    pub consumer: String,
    /// The event's id, if the message has one.
    pub event_id: Option<String>,
    /// The event's type, if the message has one.
    pub event_type: Option<String>,
    /// Why it is a dead letter.
    pub reason: String,
    /// The error, if one is known.
    pub error: Option<String>,
    /// The message that was drained last.
    pub message_id: String,
    /// When it was parked last.
    pub last_parked_at: Timestamp,
}

impl Letter {
    /// The key of its body.
    #[must_use]
    pub fn body_key(&self, table: &Table) -> Key {
        table.key(self.pk.as_str(), "body")
    }
}

/// The message of a dead letter, as it came from the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Body {
    /// The message's body.
    pub body: String,
    /// Its attributes of type text.
    #[serde(default)]
    pub attributes: BTreeMap<String, String>,
}

/// A page of the unresolved letters, the oldest first. Reads by an index are eventually consistent.
#[must_use]
pub fn unresolved(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        index: Some(LISTED),
        after,
        ..Query::partition(table, UNRESOLVED, limit)
    }
}

#[cfg(test)]
mod tests {
    use outbox::{Item, Store as _, decode_item, memory::MemoryStore};
    use serde_json::json;

    use super::*;

    fn item(value: &serde_json::Value) -> Item {
        value.as_object().cloned().expect("an object")
    }

    #[tokio::test]
    async fn the_unresolved_letters_are_found_with_their_bodies() {
        let (store, table) = (MemoryStore::new(), Table::domain("letters"));
        let letter = |id: &str, listed: &str| {
            item(&json!({
                "pk": format!("letter#{id}"), "sk": "letter", "consumer": "notifications", "reason": "malformed",
                "message_id": "m", "last_parked_at": "2026-01-01T00:00:00.000Z", "state": "open",
                "listed": listed, "listed_at": format!("2026-01-01T00:00:00.000Z#{id}"),
            }))
        };
        let body = item(&json!({
            "pk": "letter#a", "sk": "body", "body": "not JSON", "attributes": { "consumer": "notifications" },
        }));
        let items = [letter("a", UNRESOLVED), letter("b", "resolved"), body];
        store.put_all(&table, &items).await.expect("written");
        let page = store
            .query(&unresolved(&table, 10, None))
            .await
            .expect("read");
        let [found] = <[Item; 1]>::try_from(page.items).expect("one");
        let key = table.key("letter#a", "letter");
        let found: Letter = decode_item(&key, found).expect("a letter");
        assert_eq!(
            (found.event_id.as_deref(), found.reason.as_str()),
            (None, "malformed")
        );
        let key = found.body_key(&table);
        let body = store.get(&key).await.expect("read").expect("there");
        let body: Body = decode_item(&key, body).expect("a body");
        assert_eq!(body.attributes["consumer"], "notifications");
    }
}
