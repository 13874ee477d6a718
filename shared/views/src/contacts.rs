//! How to reach a member: a projection of `member.*`, guarded by the member's version.

use events::{
    EmailAddress, EthereumAddress, MemberId, Sequence, Text,
    contracts::member::{NotificationPreferences, Registered, Role, Updated},
};
use outbox::{Cursor, Error, GuardedPut, Index, Key, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

/// The sparse index of admins: only their contacts carry its partition key.
pub const ADMINS: Index = Index {
    name: "admins",
    partition: "admin",
    sort: "pk",
};

/// The value of the index's partition key, the same for all: there are few admins.
const ADMIN: &str = "admin";

/// What a member's latest event states of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// Who.
    pub member_id: MemberId,
    /// Their name.
    pub name: Text<200>,
    /// Where e-mail reaches them.
    pub email: EmailAddress,
    /// What they may do.
    pub role: Role,
    /// Their name in the Ethereum Name Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ens_subname: Option<Text<255>>,
    /// Their address on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethereum_address: Option<EthereumAddress>,
    /// Which channels they want.
    pub preferences: NotificationPreferences,
    /// The member's version that the event stated.
    pub version: Sequence,
}

macro_rules! contact_from {
    ($event:ty) => {
        impl From<&$event> for Contact {
            fn from(event: &$event) -> Self {
                Self {
                    member_id: event.member_id.clone(),
                    name: event.name.clone(),
                    email: event.email.clone(),
                    role: event.role,
                    ens_subname: event.ens_subname.clone(),
                    ethereum_address: event.ethereum_address.clone(),
                    preferences: event.notification_preferences,
                    version: event.version,
                }
            }
        }
    };
}

contact_from!(Registered);
contact_from!(Updated);

impl Contact {
    /// The write that an event of the member states; what is older than the row is ignored. The whole row is replaced, so
    /// somebody who is no longer an admin leaves the index.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn guarded_put(&self, table: &Table) -> Result<GuardedPut, Error> {
        let key = key(table, &self.member_id);
        let mut item = encode_item(&key, self)?;
        if self.role == Role::Admin {
            item.insert(ADMINS.partition.to_owned(), ADMIN.into());
        }
        Ok(GuardedPut {
            key,
            item,
            version: self.version.number(),
        })
    }
}

/// Where a member's contact stands.
#[must_use]
pub fn key(table: &Table, member_id: &MemberId) -> Key {
    table.key(format!("contact#{member_id}"), "contact")
}

/// A page of the admins' contacts, by the index: somebody who became an admin within the last second may be missing.
#[must_use]
pub fn admins(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        index: Some(ADMINS),
        after,
        ..Query::partition(table, ADMIN, limit)
    }
}

#[cfg(test)]
mod tests {
    use outbox::{Guarded, Store, memory::MemoryStore};

    use super::*;

    fn contact(role: &str, version: u64) -> Contact {
        serde_json::from_value(serde_json::json!({
            "member_id": "member-1", "name": "Ada", "email": "ada@example.com", "role": role, "version": version,
            "preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
        }))
        .expect("a contact")
    }

    #[tokio::test]
    async fn the_index_holds_admins_only_and_lets_go_of_who_is_none_any_more() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let put = async |role, version| {
            let put = contact(role, version).guarded_put(&table).expect("writes");
            store.put_guarded(&put).await.expect("answers")
        };
        let admins = async || {
            let page = store.query(&admins(&table, 10, None)).await;
            page.expect("answers").items.len()
        };
        assert_eq!(put("member", 1).await, Guarded::Applied);
        assert_eq!(admins().await, 0);
        assert_eq!(put("admin", 2).await, Guarded::Applied);
        assert_eq!(admins().await, 1);
        assert_eq!(put("member", 3).await, Guarded::Applied);
        assert_eq!(put("admin", 2).await, Guarded::Ignored);
        assert_eq!(admins().await, 0);
    }

    #[test]
    fn a_contact_reads_back_as_it_was_written() {
        let (contact, table) = (contact("admin", 7), Table::domain("notifications"));
        let put = contact.guarded_put(&table).expect("writes");
        let read: Contact = outbox::decode_item(&put.key, put.item).expect("reads");
        assert_eq!(read, contact);
    }
}
