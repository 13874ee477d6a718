//! How to reach a member: a projection of `member.*`, protected by the version guard on the member's version.

use events::{
    EmailAddress, EthereumAddress, MemberId, Sequence, Text,
    contracts::member::{NotificationPreferences, Registered, Role, Updated},
};
use outbox::{Cursor, Error, GuardedPut, Index, Item, Key, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

/// The sparse index of admins. Only contacts of admins have its partition key.
pub const ADMINS: Index = Index {
    name: "admins",
    partition: "admin",
    sort: "pk",
};

/// The value of the index's partition key. It is the same for all admins, because there are few.
const ADMIN: &str = "admin";

/// The sparse index of members with a subname, sorted by member. Only their contacts have its partition key. It holds
/// only keys, so a change of a contact does not move its entry: a walk meets no member twice and misses none who keeps
/// a subname.
pub const SUBNAMED: Index = Index {
    name: "subnamed",
    partition: "subnamed",
    sort: "pk",
};

/// The value of that index's partition key, the same for all. A partition takes 1,000 writes a second, and only adding
/// or removing a subname is a write.
const HAS_SUBNAME: &str = "subnamed";

/// The member's data from the member's latest event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contact {
    /// The member's id.
    pub member_id: MemberId,
    /// The member's name.
    pub name: Text<200>,
    /// The member's e-mail address.
    pub email: EmailAddress,
    /// The member's role.
    pub role: Role,
    /// The member's name in the Ethereum Name Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ens_subname: Option<Text<255>>,
    /// The member's address on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ethereum_address: Option<EthereumAddress>,
    /// The notification channels that the member wants.
    pub preferences: NotificationPreferences,
    /// The member's version in that event.
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
    /// The write for an event of the member. The version guard ignores an event that is older than the row. The write
    /// replaces the whole row, so a member who is no longer an admin, or no longer has a subname, leaves the index.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn guarded_put(&self, table: &Table) -> Result<GuardedPut, Error> {
        let key = key(table, &self.member_id);
        let mut item = encode_item(&key, self)?;
        if self.role == Role::Admin {
            item.insert(ADMINS.partition.to_owned(), ADMIN.into());
        }
        if self.ens_subname.is_some() {
            item.insert(SUBNAMED.partition.to_owned(), HAS_SUBNAME.into());
        }
        Ok(GuardedPut {
            key,
            item,
            version: self.version.number(),
        })
    }
}

/// The key of a member's contact.
#[must_use]
pub fn key(table: &Table, member_id: &MemberId) -> Key {
    table.key(format!("contact#{member_id}"), "contact")
}

/// A page of the admins' contacts, from the index. A member who became an admin within the last second can be missing.
#[must_use]
pub fn admins(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        index: Some(ADMINS),
        after,
        ..Query::partition(table, ADMIN, limit)
    }
}

/// A page of the members with a subname, from the index. It has only keys, which [`entry`] reads. A member who got a
/// subname within the last second can be missing, and one who lost it can still be listed.
#[must_use]
pub fn subnamed(table: &Table, limit: u32, after: Option<Cursor>) -> Query {
    Query {
        index: Some(SUBNAMED),
        after,
        ..Query::partition(table, HAS_SUBNAME, limit)
    }
}

/// The key of the contact that an item of an index refers to; `None` if the item has no key.
#[must_use]
pub fn entry(table: &Table, item: &Item) -> Option<Key> {
    let text = |name: &str| item.get(name)?.as_str();
    Some(table.key(text("pk")?, text("sk")?))
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

    #[tokio::test]
    async fn the_index_of_subnames_holds_whoever_has_one_in_the_order_of_members() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let put = async |id: &str, version, subname: Option<&str>| {
            let mut contact = contact("member", version);
            contact.member_id = MemberId::new(id).expect("an id");
            contact.ens_subname = subname.map(|name| Text::new(name).expect("a name"));
            let put = contact.guarded_put(&table).expect("writes");
            store.put_guarded(&put).await.expect("answers")
        };
        put("bob", 1, Some("bob.example.eth")).await;
        put("ada", 1, Some("ada.example.eth")).await;
        put("eve", 1, None).await;
        put("kim", 1, Some("kim.example.eth")).await;
        put("kim", 2, None).await;
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = store.query(&subnamed(&table, 1, after)).await;
            let page = page.expect("answers");
            found.extend(page.items.iter().filter_map(|item| entry(&table, item)));
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        let expected = ["ada", "bob"].map(|id| key(&table, &MemberId::new(id).expect("an id")));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_contact_reads_back_as_it_was_written() {
        let (contact, table) = (contact("admin", 7), Table::domain("notifications"));
        let put = contact.guarded_put(&table).expect("writes");
        let read: Contact = outbox::decode_item(&put.key, put.item).expect("reads");
        assert_eq!(read, contact);
    }
}
