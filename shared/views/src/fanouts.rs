//! Fan-outs: events about which all members with a subname are notified. There is one row per event. It stays open
//! until every member has a note and a queued mail.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | open | `fanout#open` | `{not before}#{event id}` |
//! | done | `fanout#done` | the same |
//!
//! Open fan-outs have a partition of their own, in the order in which they can begin. So `notifications-sender` reads
//! the first one, consistently, however many fan-outs are done.

use events::{Envelope, EnvelopeError, EventId, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

use crate::notes::NOTE_LIFE;

/// The progress of a fan-out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fanout {
    /// The event that the notices are about.
    pub event_id: EventId,
    /// The event's envelope as JSON, because the sender has no access to the event log.
    pub event: String,
    /// No member is notified before this time.
    pub not_before: Timestamp,
    /// When the event was handled.
    pub opened_at: Timestamp,
    /// The member after whom the next page begins ([`Cursor::to_text`]); absent if it begins with the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// How many members were reached so far.
    pub members: u64,
    /// How many notes were written.
    pub notes: u64,
    /// How many mails were queued.
    pub mails: u64,
    /// When the last member was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Counts the writes of the row. A page is written only if the row still has the version that the page was based
    /// on.
    pub version: u64,
}

/// A finished fan-out as it is stored. It is kept as long as its notes.
#[derive(Debug, Serialize)]
pub struct Done<'a> {
    #[serde(flatten)]
    fanout: &'a Fanout,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Fanout {
    /// A new fan-out, before any member is notified.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the envelope cannot be written.
    pub fn open(
        envelope: &Envelope,
        not_before: Timestamp,
        now: Timestamp,
    ) -> Result<Self, EnvelopeError> {
        Ok(Self {
            event_id: envelope.event_id,
            event: envelope.to_json()?,
            not_before,
            opened_at: now,
            after: None,
            members: 0,
            notes: 0,
            mails: 0,
            finished_at: None,
            version: 1,
        })
    }

    /// The fan-out's name, which is the sort key of both its rows.
    #[must_use]
    pub fn name(&self) -> String {
        name(self.not_before, self.event_id)
    }

    /// The row of a finished fan-out.
    #[must_use]
    pub fn done(&self) -> Done<'_> {
        let finished_at = self.finished_at.unwrap_or(self.opened_at);
        Done {
            fanout: self,
            expires_at: finished_at.plus(NOTE_LIFE).unix_seconds(),
        }
    }
}

/// The name of a fan-out.
#[must_use]
pub fn name(not_before: Timestamp, event_id: EventId) -> String {
    // A timestamp's text has a fixed width, so it sorts by time.
    format!("{not_before}#{event_id}")
}

/// The key of an open fan-out's row.
#[must_use]
pub fn open_key(table: &Table, name: &str) -> Key {
    table.key(OPEN, name)
}

/// The key of a finished fan-out's row.
#[must_use]
pub fn done_key(table: &Table, name: &str) -> Key {
    table.key(DONE, name)
}

/// A page of the open [`Fanout`]s, in the order in which they can begin.
#[must_use]
pub fn open(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, OPEN, limit)
    }
}

/// A page of the finished [`Fanout`]s.
#[must_use]
pub fn done(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, DONE, limit)
    }
}

const OPEN: &str = "fanout#open";
const DONE: &str = "fanout#done";

#[cfg(test)]
mod tests {
    use outbox::{Store, encode_item, memory::MemoryStore};

    use super::*;

    fn fanout(minute: u8, id: u8) -> Fanout {
        Fanout {
            event_id: format!("00000000-0000-7000-8000-0000000000{id:02}")
                .parse()
                .expect("an id"),
            event: "{}".into(),
            not_before: format!("2026-11-21T10:{minute:02}:00.000Z")
                .parse()
                .expect("a moment"),
            opened_at: Timestamp::EPOCH,
            after: None,
            members: 0,
            notes: 0,
            mails: 0,
            finished_at: None,
            version: 1,
        }
    }

    #[tokio::test]
    async fn open_ones_come_in_the_order_in_which_they_may_begin_and_done_ones_are_not_among_them()
    {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        for one in [fanout(11, 1), fanout(9, 2), fanout(9, 3)] {
            let item = encode_item(&open_key(&table, &one.name()), &one).expect("writes");
            store.put_all(&table, &[item]).await.expect("answers");
        }
        let early = fanout(8, 4);
        let item = encode_item(&done_key(&table, &early.name()), &early.done()).expect("writes");
        store.put_all(&table, &[item]).await.expect("answers");
        let page = store.query(&open(&table, 10, None)).await.expect("answers");
        let found: Vec<Fanout> = page
            .items
            .into_iter()
            .map(|item| outbox::decode_item(&open_key(&table, "*"), item).expect("reads"))
            .collect();
        assert_eq!(found, [fanout(9, 2), fanout(9, 3), fanout(11, 1)]);
    }

    #[test]
    fn a_done_one_is_kept_for_a_year_from_its_end() {
        let mut one = fanout(0, 1);
        one.finished_at = Some(Timestamp::EPOCH);
        let stored = serde_json::to_value(one.done()).expect("serialises");
        assert_eq!(stored["expires_at"], 365 * 86_400);
    }
}
