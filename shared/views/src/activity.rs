//! The activity of a user's points, newest first: the rows of the consumer `activity-feed`.

use std::time::Duration;

use events::{EscrowId, EventId, EventType, MemberId, Points, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long an entry is kept after the event happened.
pub const ACTIVITY_LIFE: Duration = Duration::from_secs(90 * 24 * 60 * 60);

/// An entry of a user's activity.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Activity")]
pub struct Activity {
    /// The type of the event.
    pub event_type: EventType,
    /// How many points the event is about: all that were held, settled or refunded.
    pub amount: Points,
    /// How many of them were refunded, if they were divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub refund_amount: Option<Points>,
    /// How many of them were earned, if they were divided.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settle_amount: Option<Points>,
    /// The escrow.
    pub escrow_id: EscrowId,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// The event that the entry is about.
    pub event_id: EventId,
}

/// An entry as it is stored.
#[derive(Debug, Serialize)]
pub struct StoredActivity<'a> {
    #[serde(flatten)]
    activity: &'a Activity,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Activity {
    /// The key of the entry's row, by time within the user's partition.
    #[must_use]
    pub fn key(&self, table: &Table, user_id: &MemberId) -> Key {
        // A timestamp's text has a fixed width, so it sorts by time.
        let sk = format!("{}#{}", self.occurred_at, self.event_id);
        table.key(partition(user_id), sk)
    }

    /// The row.
    #[must_use]
    pub fn stored(&self) -> StoredActivity<'_> {
        StoredActivity {
            activity: self,
            expires_at: self.occurred_at.plus(ACTIVITY_LIFE).unix_seconds(),
        }
    }
}

fn partition(user_id: &MemberId) -> String {
    format!("activity#{user_id}")
}

/// A page of a user's [`Activity`], newest first.
#[must_use]
pub fn page(table: &Table, user_id: &MemberId, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        descending: true,
        after,
        ..Query::partition(table, partition(user_id), limit)
    }
}

#[cfg(test)]
mod tests {
    use outbox::{Store, encode_item, memory::MemoryStore};

    use super::*;

    fn activity(minute: u8, id: u8) -> Activity {
        Activity {
            event_type: EventType::new("wallet.escrow_held").expect("a type"),
            amount: "100".parse().expect("points"),
            refund_amount: None,
            settle_amount: None,
            escrow_id: uuid::Uuid::from_u128(id.into()).into(),
            occurred_at: format!("2026-11-21T10:{minute:02}:00.000Z")
                .parse()
                .expect("a moment"),
            event_id: format!("00000000-0000-7000-8000-0000000000{id:02}")
                .parse()
                .expect("an id"),
        }
    }

    #[tokio::test]
    async fn entries_come_newest_first_and_only_the_users_own() {
        let (store, table) = (MemoryStore::new(), Table::domain("activity"));
        let mine = MemberId::new("ada").expect("an id");
        let other = MemberId::new("ada2").expect("an id");
        for (user, entry) in [
            (&mine, activity(9, 1)),
            (&mine, activity(11, 2)),
            (&other, activity(12, 3)),
        ] {
            let item = encode_item(&entry.key(&table, user), &entry.stored());
            let put = store.put_all(&table, &[item.expect("writes")]).await;
            put.expect("answers");
        }
        let found = store.query(&page(&table, &mine, 10, None)).await;
        let read: Vec<Activity> = found
            .expect("answers")
            .items
            .into_iter()
            .map(|item| outbox::decode_item(&table.key("", ""), item).expect("reads"))
            .collect();
        assert_eq!(read, [activity(11, 2), activity(9, 1)]);
    }

    #[test]
    fn an_entry_goes_ninety_days_after_what_it_tells() {
        let stored = serde_json::to_value(activity(0, 1).stored()).expect("serialises");
        let seconds = stored["expires_at"].as_i64().expect("seconds");
        let days = (seconds - activity(0, 1).occurred_at.unix_seconds()) / 86_400;
        assert_eq!(days, 90);
    }
}
