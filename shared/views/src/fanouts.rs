//! Events that all members with a subname are told: one row per event, open until everybody has their note and their mail
//! is queued.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | open | `fanout#open` | `{not before}#{event id}` |
//! | done | `fanout#done` | the same |
//!
//! The open ones stand in a partition of their own, in the order in which they may begin: whoever works them off reads the
//! first, consistently, however many are done.

use events::{Envelope, EnvelopeError, EventId, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

use crate::notes::NOTE_LIFE;

/// How far the telling of an event has come.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fanout {
    /// The event it tells.
    pub event_id: EventId,
    /// Its envelope, as JSON: whoever tells it has no access to the event log.
    pub event: String,
    /// Nobody is told before this.
    pub not_before: Timestamp,
    /// When the event was handled.
    pub opened_at: Timestamp,
    /// Behind which member the next page begins ([`Cursor::to_text`]); absent: with the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// Members it came to so far.
    pub members: u64,
    /// Notes they have.
    pub notes: u64,
    /// Mails that were queued for them.
    pub mails: u64,
    /// When it came to the last of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub finished_at: Option<Timestamp>,
    /// Counts its writes: a page is only written on what it was decided on.
    pub version: u64,
}

/// A fan-out that is done, as it is stored: as long as its notes.
#[derive(Debug, Serialize)]
pub struct Done<'a> {
    #[serde(flatten)]
    fanout: &'a Fanout,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Fanout {
    /// Nobody told yet.
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

    /// Its name among the fan-outs: the sort key of both its rows.
    #[must_use]
    pub fn name(&self) -> String {
        name(self.not_before, self.event_id)
    }

    /// The row of a fan-out that is done.
    #[must_use]
    pub fn done(&self) -> Done<'_> {
        let finished_at = self.finished_at.unwrap_or(self.opened_at);
        Done {
            fanout: self,
            expires_at: finished_at.plus(NOTE_LIFE).unix_seconds(),
        }
    }
}

/// A fan-out's name.
#[must_use]
pub fn name(not_before: Timestamp, event_id: EventId) -> String {
    // The moment's text has a fixed width, so it sorts by time.
    format!("{not_before}#{event_id}")
}

/// Where an open fan-out stands.
#[must_use]
pub fn open_key(table: &Table, name: &str) -> Key {
    table.key(OPEN, name)
}

/// Where a fan-out stands that is done.
#[must_use]
pub fn done_key(table: &Table, name: &str) -> Key {
    table.key(DONE, name)
}

/// A page of the open [`Fanout`]s, whichever may begin first before the others.
#[must_use]
pub fn open(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, OPEN, limit)
    }
}

/// A page of the [`Fanout`]s that are done.
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
