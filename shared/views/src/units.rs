//! Mails that wait for their turn. Each is a unit of work with one row, in one of two places.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | due | `unit#due` | `{fan-out}#{member}` |
//! | failed | `unit#failed` | the same |
//!
//! A finished unit has no row here. Its mail has a record in [`crate::mails`].

use events::{EventId, MemberId, Timestamp};
use outbox::{Cursor, Key, Query, Table};
use serde::{Deserialize, Serialize};

use crate::notes::NOTE_LIFE;

/// A mail to send.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unit {
    /// The event that the mail is about.
    pub event_id: EventId,
    /// The name of the fan-out that queued the mail.
    pub fanout: String,
    /// The recipient.
    pub member_id: MemberId,
    /// The template.
    pub template: String,
    /// When the mail was queued.
    pub queued_at: Timestamp,
    /// How often the mail was permanently refused and queued again by an operator.
    pub refusals: u32,
}

/// A mail that was permanently refused. It waits until an operator fixes the cause and queues it again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failed {
    /// The unit.
    #[serde(flatten)]
    pub unit: Unit,
    /// Why the mail was refused.
    pub reason: String,
    /// When the mail was refused.
    pub failed_at: Timestamp,
}

/// A failed unit as it is stored. It is kept as long as a note about the same event.
#[derive(Debug, Serialize)]
pub struct StoredUnit<'a> {
    #[serde(flatten)]
    failed: &'a Failed,
    /// DynamoDB TTL, seconds since 1970.
    expires_at: i64,
}

impl Unit {
    /// The unit's name, which is the sort key of its row.
    #[must_use]
    pub fn name(&self) -> String {
        format!("{}#{}", self.fanout, self.member_id)
    }

    /// The key of the row of a due unit.
    #[must_use]
    pub fn due_key(&self, table: &Table) -> Key {
        table.key(DUE, self.name())
    }

    /// The key of the row of a failed unit.
    #[must_use]
    pub fn failed_key(&self, table: &Table) -> Key {
        table.key(FAILED, self.name())
    }
}

impl Failed {
    /// The row.
    #[must_use]
    pub fn stored(&self) -> StoredUnit<'_> {
        StoredUnit {
            failed: self,
            expires_at: self.failed_at.plus(NOTE_LIFE).unix_seconds(),
        }
    }

    /// The unit to queue again.
    #[must_use]
    pub fn again(&self) -> Unit {
        Unit {
            refusals: self.unit.refusals.saturating_add(1),
            ..self.unit.clone()
        }
    }
}

/// A page of the due [`Unit`]s in the order of their turns; of one fan-out if `fanout` names it.
#[must_use]
pub fn due(table: &Table, fanout: Option<&str>, limit: u32, after: Option<Cursor>) -> Query {
    page(table, DUE, fanout, limit, after)
}

/// A page of the [`Failed`] units; of one fan-out if `fanout` names it.
#[must_use]
pub fn failed(table: &Table, fanout: Option<&str>, limit: u32, after: Option<Cursor>) -> Query {
    page(table, FAILED, fanout, limit, after)
}

fn page(
    table: &Table,
    partition: &str,
    fanout: Option<&str>,
    limit: u32,
    after: Option<Cursor>,
) -> Query {
    Query {
        prefix: fanout.map(|name| format!("{name}#")),
        after,
        ..Query::partition(table, partition, limit)
    }
}

const DUE: &str = "unit#due";
const FAILED: &str = "unit#failed";

#[cfg(test)]
mod tests {
    use outbox::{Store, encode_item, memory::MemoryStore};

    use super::*;

    fn unit(fanout: &str, member: &str) -> Unit {
        Unit {
            event_id: "00000000-0000-7000-8000-000000000001"
                .parse()
                .expect("an id"),
            fanout: fanout.into(),
            member_id: MemberId::new(member).expect("an id"),
            template: "rate_card_created".into(),
            queued_at: Timestamp::EPOCH,
            refusals: 0,
        }
    }

    #[tokio::test]
    async fn due_and_failed_ones_are_listed_apart_in_order_and_by_fan_out() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let failed_unit = Failed {
            unit: unit("f1", "bob"),
            reason: "refused".into(),
            failed_at: Timestamp::EPOCH,
        };
        let rows = [unit("f2", "ada"), unit("f1", "eve"), unit("f1", "ada")]
            .map(|one| encode_item(&one.due_key(&table), &one).expect("writes"));
        store.put_all(&table, &rows).await.expect("answers");
        let row = encode_item(&failed_unit.unit.failed_key(&table), &failed_unit.stored());
        let put = store.put_all(&table, &[row.expect("writes")]).await;
        put.expect("answers");
        let place = table.key("*", "*");
        let listed = async |query| {
            let page = store.query(&query).await.expect("answers");
            page.items
        };
        let due_units = async |fanout| {
            let items = listed(due(&table, fanout, 10, None)).await;
            let read = |item| outbox::decode_item::<Unit>(&place, item).expect("reads");
            items.into_iter().map(read).collect::<Vec<_>>()
        };
        assert_eq!(
            due_units(None).await,
            [unit("f1", "ada"), unit("f1", "eve"), unit("f2", "ada")]
        );
        assert_eq!(due_units(Some("f2")).await, [unit("f2", "ada")]);
        assert_eq!(due_units(Some("f")).await, []);
        let items = listed(failed(&table, Some("f1"), 10, None)).await;
        let read: Failed = outbox::decode_item(&place, items[0].clone()).expect("reads");
        assert_eq!((items.len(), &read), (1, &failed_unit));
        assert_eq!(read.again().refusals, 1);
    }
}
