//! Which e-mails were sent. The sender reads the record before it sends a mail and writes it after. A mail that the
//! member no longer wants when its turn comes gets a record too.

use events::{EventId, MemberId, Timestamp};
use outbox::{Cursor, Error, GuardedPut, Key, MARK_LIFE, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

use crate::contacts::Recipient;

/// The record that a mail was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// The event that the mail is about.
    pub event_id: EventId,
    /// The recipient.
    #[serde(flatten)]
    pub recipient: Recipient,
    /// The template.
    pub template: String,
    /// The key of the mail, in its header and its footer.
    pub mail_key: String,
    /// The id that the mail service gave the mail.
    pub message_id: String,
    /// When the mail was sent.
    pub sent_at: Timestamp,
}

/// The record that a mail was not sent, because the member switched mails off before its turn came.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Withdrawn {
    /// The event that the mail would have been about.
    pub event_id: EventId,
    /// The recipient.
    pub member_id: MemberId,
    /// The template.
    pub template: String,
    /// When the sender found that mails are switched off.
    pub withdrawn_at: Timestamp,
}

/// A record as it is stored. It lives as long as a mark, which is as long as the event can be delivered again.
#[derive(Debug, Serialize)]
pub struct StoredMail<'a, T> {
    #[serde(flatten)]
    record: &'a T,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Withdrawn {
    /// The row.
    #[must_use]
    pub fn stored(&self) -> StoredMail<'_, Self> {
        StoredMail {
            record: self,
            expires_at: self.withdrawn_at.plus(MARK_LIFE).unix_seconds(),
        }
    }
}

impl Sent {
    /// The row.
    #[must_use]
    pub fn stored(&self) -> StoredMail<'_, Self> {
        StoredMail {
            record: self,
            expires_at: self.sent_at.plus(MARK_LIFE).unix_seconds(),
        }
    }

    /// The write that records the mail, if it has no record yet.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn put_if_absent(&self, key: Key) -> Result<GuardedPut, Error> {
        let item = encode_item(&key, &self.stored())?;
        // Every record has version 1, so the version guard accepts only the first one.
        Ok(GuardedPut {
            key,
            item,
            version: 1,
        })
    }
}

/// The key of a mail's record. `identity` is the identity that the event's mark uses, so a copy of the event with
/// another id finds the records of the first.
#[must_use]
pub fn key(table: &Table, identity: &str, recipient: impl Into<Recipient>, template: &str) -> Key {
    let recipient: Recipient = recipient.into();
    table.key(partition(identity), format!("{recipient}#{template}"))
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
    use events::CustomerId;
    use outbox::{Guarded, Store, memory::MemoryStore};
    use serde_json::json;

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
            recipient: Recipient::from(&member_id),
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
        assert_eq!(item["expires_at"], 60 * 24 * 60 * 60);
        let read: Sent = outbox::decode_item(&key, item).expect("reads");
        assert_eq!(read, sent("first"));
        assert_eq!(key, table.key("mail#e-1", "member-1#minted"));
    }

    #[test]
    fn a_record_names_its_member_or_its_customer() {
        let member_id = MemberId::new("member-1").expect("an id");
        let customer_id = CustomerId::new("CUST-1").expect("an id");
        for (recipient, name, id) in [
            (Recipient::from(&member_id), "member_id", "member-1"),
            (Recipient::from(&customer_id), "customer_id", "CUST-1"),
        ] {
            let sent = Sent {
                event_id: "00000000-0000-7000-8000-000000000001"
                    .parse()
                    .expect("an id"),
                recipient,
                template: "order_received".into(),
                mail_key: "k".into(),
                message_id: "m".into(),
                sent_at: Timestamp::EPOCH,
            };
            let written = serde_json::to_value(sent.stored()).expect("serialises");
            let expected = json!({
                "event_id": "00000000-0000-7000-8000-000000000001", name: id, "template": "order_received",
                "mail_key": "k", "message_id": "m", "sent_at": "1970-01-01T00:00:00.000Z",
                "expires_at": 60 * 24 * 60 * 60,
            });
            assert_eq!(written, expected);
            let read: Sent = serde_json::from_value(written).expect("reads");
            assert_eq!(read, sent);
        }
    }
}
