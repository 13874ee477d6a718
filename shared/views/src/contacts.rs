//! How to reach a member or a customer: projections of `member.*` and `customer.*`, protected by the version guard on the
//! version of the member or customer.
//!
//! | row | partition | sort key | in the indexes |
//! |---|---|---|---|
//! | [`Contact`] | `contact#{member id}` | `contact` | admins; members with a subname |
//! | [`CustomerContact`] | `customer_contact#{customer id}` | `contact` | never |
//!
//! A member and a customer can have the same id and are still two recipients. A customer is in no index, so no alert for
//! admins and no notice to all members reaches one.

use std::fmt;

use events::{
    CustomerId, EmailAddress, EthereumAddress, MemberId, Sequence, Text,
    contracts::{
        customer,
        member::{NotificationPreferences, Registered, Role, Updated},
    },
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

/// Whom a notice goes to. A stored row has it as the field `member_id` or `customer_id`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Recipient {
    /// A member.
    #[serde(rename = "member_id")]
    Member(MemberId),
    /// A customer.
    #[serde(rename = "customer_id")]
    Customer(CustomerId),
}

impl From<&MemberId> for Recipient {
    fn from(member_id: &MemberId) -> Self {
        Self::Member(member_id.clone())
    }
}

impl From<&CustomerId> for Recipient {
    fn from(customer_id: &CustomerId) -> Self {
        Self::Customer(customer_id.clone())
    }
}

/// The text in keys, logs and errors. A member's is the id alone: stored keys were made from it before customers had
/// notices. A customer's is never a member's, because no member's id has a `/`.
impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Member(member_id) => f.write_str(member_id.as_str()),
            Self::Customer(customer_id) => write!(f, "customer/{customer_id}"),
        }
    }
}

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

/// The customer's data from the customer's latest event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CustomerContact {
    /// The customer's id.
    pub customer_id: CustomerId,
    /// The customer's name.
    pub name: Text<200>,
    /// The customer's e-mail address.
    pub email: EmailAddress,
    /// The notification channels that the customer wants; the default if the event states none.
    pub preferences: customer::NotificationPreferences,
    /// The customer's version in that event.
    pub version: Sequence,
}

macro_rules! customer_contact_from {
    ($event:ty) => {
        impl From<&$event> for CustomerContact {
            fn from(event: &$event) -> Self {
                Self {
                    customer_id: event.customer_id.clone(),
                    name: event.name.clone(),
                    email: event.email.clone(),
                    preferences: event.notification_preferences.unwrap_or_default(),
                    version: event.version,
                }
            }
        }
    };
}

customer_contact_from!(customer::Registered);
customer_contact_from!(customer::Updated);

impl CustomerContact {
    /// The write for an event of the customer. The version guard ignores an event that is older than the row.
    ///
    /// # Errors
    /// [`Error::Item`] when the row cannot be written as an item.
    pub fn guarded_put(&self, table: &Table) -> Result<GuardedPut, Error> {
        let key = customer_key(table, &self.customer_id);
        let item = encode_item(&key, self)?;
        Ok(GuardedPut {
            key,
            item,
            version: self.version.number(),
        })
    }
}

/// The key of a customer's contact.
#[must_use]
pub fn customer_key(table: &Table, customer_id: &CustomerId) -> Key {
    table.key(format!("customer_contact#{customer_id}"), "contact")
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

    fn customer(id: &str, version: u64) -> CustomerContact {
        serde_json::from_value(serde_json::json!({
            "customer_id": id, "name": "Acme", "email": "orders@acme.example", "version": version,
            "preferences": {"email_enabled": true},
        }))
        .expect("a contact")
    }

    #[tokio::test]
    async fn a_customer_is_in_no_index_and_has_another_row_than_a_member_of_the_same_id() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        let mut admin = contact("admin", 1);
        admin.ens_subname = Some(Text::new("ada.example.eth").expect("a name"));
        let of_customer = customer("member-1", 1);
        assert_eq!(of_customer.customer_id.as_str(), admin.member_id.as_str());
        for put in [
            admin.guarded_put(&table).expect("writes"),
            of_customer.guarded_put(&table).expect("writes"),
        ] {
            assert_eq!(
                store.put_guarded(&put).await.expect("answers"),
                Guarded::Applied
            );
        }
        for query in [admins(&table, 10, None), subnamed(&table, 10, None)] {
            let page = store.query(&query).await.expect("answers");
            let found: Vec<_> = page.items.iter().map(|item| entry(&table, item)).collect();
            assert_eq!(found, [Some(key(&table, &admin.member_id))]);
        }
        let key = customer_key(&table, &of_customer.customer_id);
        let item = store.get(&key).await.expect("answers").expect("is there");
        let read: CustomerContact = outbox::decode_item(&key, item).expect("reads");
        assert_eq!(read, of_customer);
    }

    #[tokio::test]
    async fn an_older_event_of_a_customer_is_ignored() {
        let (store, table) = (MemoryStore::new(), Table::domain("notifications"));
        for (version, expected) in [(2, Guarded::Applied), (1, Guarded::Ignored)] {
            let put = customer("CUST-1", version).guarded_put(&table);
            let put = store.put_guarded(&put.expect("writes")).await;
            assert_eq!(put.expect("answers"), expected);
        }
    }

    #[test]
    fn a_customer_who_states_no_preferences_wants_mails() {
        let registered = |preferences: Option<bool>| -> customer::Registered {
            let mut payload = serde_json::json!({
                "customer_id": "CUST-1", "customer_type": "b2b", "name": "Acme", "email": "orders@acme.example",
                "payment_term": "net_30", "country": "RO", "vat_treatment": "domestic",
                "changed_at": "2026-02-13T12:00:00.000Z", "changed_by": "desk", "version": 1,
            });
            if let Some(email_enabled) = preferences {
                payload["notification_preferences"] =
                    serde_json::json!({ "email_enabled": email_enabled });
            }
            serde_json::from_value(payload).expect("a customer")
        };
        for (stated, wants) in [(None, true), (Some(true), true), (Some(false), false)] {
            let contact = CustomerContact::from(&registered(stated));
            assert_eq!(contact.preferences.email_enabled, wants, "{stated:?}");
        }
    }

    #[test]
    fn a_members_text_is_the_id_and_a_customers_is_no_members() {
        let member_id = MemberId::new("member-1").expect("an id");
        let customer_id = CustomerId::new("member-1").expect("an id");
        assert_eq!(Recipient::from(&member_id).to_string(), "member-1");
        let customer = Recipient::from(&customer_id).to_string();
        assert_eq!(customer, "customer/member-1");
        MemberId::new(customer).expect_err("no member's id");
    }

    #[test]
    fn a_contact_reads_back_as_it_was_written() {
        let (contact, table) = (contact("admin", 7), Table::domain("notifications"));
        let put = contact.guarded_put(&table).expect("writes");
        let read: Contact = outbox::decode_item(&put.key, put.item).expect("reads");
        assert_eq!(read, contact);
    }
}
