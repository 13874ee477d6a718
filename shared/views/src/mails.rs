//! Which e-mails were sent: read before a mail is sent, written after it. A mail that its member no longer wants when its
//! turn comes has a record, too.

use events::{EventId, MemberId, Timestamp};
use outbox::{Cursor, Error, GuardedPut, Key, MARK_LIFE, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

/// The record that a mail was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The event it told.
    pub event_id: EventId,
    /// To whom.
    pub member_id: MemberId,
    /// Which text.
    pub template: String,
    /// The mail's own key, in its header and its footer.
    pub mail_key: String,
    /// The mail service's id of it.
    pub message_id: String,
    /// When.
    pub sent_at: Timestamp,
}

/// The record that a mail was not sent, because its member had switched mails off before its turn came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The event it was to tell.
    pub event_id: EventId,
    /// Whom.
    pub member_id: MemberId,
    /// By which text.
    pub template: String,
    /// When that was seen.
    pub withdrawn_at: Timestamp,
}

/// A record as it is stored. Lives as long as a mark: as long as the event can come back.
#[derive(Debug, Serialize)]
pub struct Stored<'a, T> {
    #[serde(flatten)]
    record: &'a T,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Withdrawn {
    /// The row.
    #[must_use]
    pub fn stored(&self) -> Stored<'_, Self> {
        Stored {
            record: self,
            expires_at: self.withdrawn_at.plus(MARK_LIFE).unix_seconds(),
        }
    }
}

impl Sent {
    /// The row.
    #[must_use]
    pub fn stored(&self) -> Stored<'_, Self> {
        Stored {
            record: self,
            expires_at: self.sent_at.plus(MARK_LIFE).unix_seconds(),
        }
    }

    /// The write that records it, where no record stands yet.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn put_if_absent(&self, key: Key) -> Result<GuardedPut, Error> {
        let item = encode_item(&key, &self.stored())?;
        // Every record is of version 1: the guard takes the first one only.
        Ok(GuardedPut {
            key,
            item,
            version: 1,
        })
    }
}

/// Where the record of a mail stands. `identity` is what the event's mark knows it by, so that a copy under another event
/// id finds the first one's mails.
#[must_use]
pub fn key(table: &Table, identity: &str, member_id: &MemberId, template: &str) -> Key {
    table.key(partition(identity), format!("{member_id}#{template}"))
}

/// A page of the records of an event's mails.
#[must_use]
pub fn of_event(table: &Table, identity: &str, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        after,
        ..Query::partition(table, partition(identity), limit)
    }
}

fn partition(identity: &str) -> String {
    format!("mail#{identity}")
}

#[cfg(test)]
mod tests {
    use outbox::{Guarded, Store, memory::MemoryStore};

    use super::*;

    #[tokio::test]
    async fn only_the_first_record_of_a_mail_is_kept() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let member_id = MemberId::new("member-1").expect("an id");
        let key = key(&table, "e-1", &member_id, "minted");
        let sent = |message_id: &str| Sent {
            event_id: "00000000-0000-7000-8000-000000000001"
                .parse()
                .expect("an id"),
            member_id: member_id.clone(),
            template: "minted".into(),
            mail_key: "k".into(),
            message_id: message_id.into(),
            sent_at: Timestamp::EPOCH,
        };
        for (message_id, expected) in [("first", Guarded::Applied), ("second", Guarded::Ignored)] {
            let put = sent(message_id).put_if_absent(key.clone()).expect("writes");
            assert_eq!(store.put_guarded(&put).await.expect("answers"), expected);
        }
        let item = store.get(&key).await.expect("answers").expect("is there");
        assert_eq!(item["expires_at"], 30 * 24 * 60 * 60);
        let read: Sent = outbox::decode_item(&key, item).expect("reads");
        assert_eq!(read, sent("first"));
    }
}
