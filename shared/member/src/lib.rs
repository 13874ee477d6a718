//! Members: the people who take part. A member is registered once, changed by patches and never deleted.
//!
//! Decisions are pure. State, command, id, time and version go in. The new state with its event, or a [`Refusal`],
//! comes out. A decision's `save` puts the result into a transaction.
//!
//! There is one item per member in the table `member`: pk `member#{member_id}`, sk `state`. Only `member-api` writes
//! it. Other API functions read it, consistently, for id and name.

pub mod operations;
mod patch;
mod rebuild;

use events::{
    Contract, Draft, EmailAddress, EthereumAddress, EventId, MemberId, Sequence, Text, Timestamp,
    contracts::member::{NotificationPreferences, Registered, Role, Updated},
};
use outbox::{BuildError, Entity, State, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use patch::{Patch, PreferencesPatch};

/// A member. Its fields change only in [`register`] and [`patch`], and each decision is saved together with its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The member's id.
    member_id: MemberId,
    /// The member's name.
    name: Text<200>,
    /// The member's e-mail address.
    email: EmailAddress,
    /// The member's role.
    role: Role,
    /// The member's name in the Ethereum Name Service.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ens_subname: Option<Text<255>>,
    /// The member's address on the chain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    ethereum_address: Option<EthereumAddress>,
    /// The notification channels that the member wants.
    notification_preferences: NotificationPreferences,
    /// When the member was registered.
    registered_at: Timestamp,
    /// When the member was last changed.
    updated_at: Timestamp,
}

impl State for Member {
    const AGGREGATE: &'static str = Registered::AGGREGATE;
}

/// The domain's aggregates, one line each.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "member",
    table_setting: "MEMBER_TABLE",
    aggregates: &[&domain::Of::<Member>::NEW],
};

/// Registers a member.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "MemberRegistration")]
pub struct Registration {
    /// The member's id. If it is absent, an id is generated.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// The member's name.
    pub name: Text<200>,
    /// The member's e-mail address.
    pub email: EmailAddress,
    /// The member's role; `member` by default.
    #[serde(default)]
    pub role: Option<Role>,
    /// The member's name in the Ethereum Name Service.
    #[serde(default)]
    pub ens_subname: Option<Text<255>>,
    /// The member's address on the chain.
    #[serde(default)]
    pub ethereum_address: Option<EthereumAddress>,
    /// The notification channels that the member wants. A channel that is not named has its default.
    #[serde(default)]
    pub notification_preferences: Option<PreferencesPatch>,
}

/// Why the rules refuse a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The member does not exist.
    #[error("there is no member {member_id}")]
    Unknown {
        /// The requested member.
        member_id: MemberId,
    },
    /// The id already belongs to another member.
    #[error("member {member_id} is already registered")]
    AlreadyRegistered {
        /// The id.
        member_id: MemberId,
    },
}

/// A decided registration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registering {
    /// The member.
    pub member: Member,
    /// The event.
    pub event: Registered,
}

/// The result of a patch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Patched {
    /// The patch changes the member.
    Changed(Box<Change>),
    /// The member already is as the patch asks: there is nothing to write and no event to record.
    Same,
}

/// A decided change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The member after the change.
    pub member: Member,
    /// The event.
    pub event: Updated,
}

/// Decides a registration under `member_id`, which is the requested id or a new one. `version` is the member's first
/// version.
///
/// # Errors
/// [`Refusal`] if the id is taken.
pub fn register(
    existing: Option<&Member>,
    member_id: MemberId,
    command: Registration,
    version: Sequence,
    now: Timestamp,
) -> Result<Registering, Refusal> {
    if existing.is_some() {
        return Err(Refusal::AlreadyRegistered { member_id });
    }
    let preferences = command.notification_preferences.unwrap_or_default();
    let member = Member {
        member_id,
        name: command.name,
        email: command.email,
        role: command.role.unwrap_or_default(),
        ens_subname: command.ens_subname,
        ethereum_address: command.ethereum_address,
        notification_preferences: preferences.over(NotificationPreferences::default()),
        registered_at: now,
        updated_at: now,
    };
    let event = member.registered(version);
    Ok(Registering { member, event })
}

/// Decides a patch. `version` is the member's version after a change.
#[must_use]
pub fn patch(member: &Member, patch: Patch, version: Sequence, now: Timestamp) -> Patched {
    let mut after = patch.over(member.clone());
    if after == *member {
        return Patched::Same;
    }
    after.updated_at = now;
    let event = after.updated(version);
    Patched::Changed(Box::new(Change {
        member: after,
        event,
    }))
}

impl Member {
    /// The member's id.
    #[must_use]
    pub fn member_id(&self) -> &MemberId {
        &self.member_id
    }

    /// The member's name.
    #[must_use]
    pub fn name(&self) -> &Text<200> {
        &self.name
    }

    /// The member's e-mail address.
    #[must_use]
    pub fn email(&self) -> &EmailAddress {
        &self.email
    }

    /// The member's role.
    #[must_use]
    pub fn role(&self) -> Role {
        self.role
    }

    /// The member's name in the Ethereum Name Service.
    #[must_use]
    pub fn ens_subname(&self) -> Option<&Text<255>> {
        self.ens_subname.as_ref()
    }

    /// The member's address on the chain.
    #[must_use]
    pub fn ethereum_address(&self) -> Option<&EthereumAddress> {
        self.ethereum_address.as_ref()
    }

    /// The notification channels that the member wants.
    #[must_use]
    pub fn notification_preferences(&self) -> NotificationPreferences {
        self.notification_preferences
    }

    /// When the member was registered.
    #[must_use]
    pub fn registered_at(&self) -> Timestamp {
        self.registered_at
    }

    /// When the member was last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    fn registered(&self, version: Sequence) -> Registered {
        Registered {
            member_id: self.member_id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            role: self.role,
            ens_subname: self.ens_subname.clone(),
            ethereum_address: self.ethereum_address.clone(),
            notification_preferences: self.notification_preferences,
            version,
        }
    }

    fn updated(&self, version: Sequence) -> Updated {
        Updated {
            member_id: self.member_id.clone(),
            name: self.name.clone(),
            email: self.email.clone(),
            role: self.role,
            ens_subname: self.ens_subname.clone(),
            ethereum_address: self.ethereum_address.clone(),
            notification_preferences: self.notification_preferences,
            version,
        }
    }
}

impl Registering {
    /// Puts the member and the event into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another member's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Member>,
    ) -> Result<Vec<EventId>, BuildError> {
        transaction.update(entity, &self.member, vec![Draft::of(&self.event)?])
    }
}

impl Change {
    /// Puts the member and the event into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another member's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Member>,
    ) -> Result<Vec<EventId>, BuildError> {
        transaction.update(entity, &self.member, vec![Draft::of(&self.event)?])
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn registration(value: serde_json::Value) -> Registration {
        serde_json::from_value(value).expect("a registration")
    }

    fn patch_of(value: serde_json::Value) -> Patch {
        serde_json::from_value(value).expect("a patch")
    }

    fn version(number: u64) -> Sequence {
        Sequence::new(number).expect("a version")
    }

    fn id(text: &str) -> MemberId {
        MemberId::new(text).expect("an id")
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1_000).expect("a moment")
    }

    fn ada() -> Member {
        let command = registration(json!({
            "name": "Ada", "email": "ada@example.org", "ens_subname": "ada.example.eth",
            "notification_preferences": { "email_enabled": false }
        }));
        let registering = register(None, id("ada"), command, version(1), at(1));
        registering.expect("allowed").member
    }

    #[test]
    fn what_a_registration_does_not_say_has_its_default() {
        let command = registration(json!({ "name": "Bo", "email": "bo@example.org" }));
        let registering = register(None, id("bo"), command, version(1), at(1)).expect("allowed");
        assert_eq!(registering.member.role, Role::Member);
        let preferences = registering.event.notification_preferences;
        assert_eq!(preferences, NotificationPreferences::default());
        assert!(preferences.email_enabled);

        let some = ada().notification_preferences;
        assert!(!some.email_enabled && some.in_app_enabled && !some.webhook_enabled);
    }

    #[test]
    fn an_id_is_given_once() {
        let command = || registration(json!({ "name": "Eve", "email": "eve@example.org" }));
        let taken = register(Some(&ada()), id("ada"), command(), version(2), at(2));
        let member_id = id("ada");
        assert_eq!(taken, Err(Refusal::AlreadyRegistered { member_id }));
    }

    #[test]
    fn a_patch_changes_what_it_names_and_null_clears_what_may_be_absent() {
        let change = patch_of(json!({
            "ens_subname": null, "role": "admin", "notification_preferences": { "webhook_enabled": true }
        }));
        let Patched::Changed(change) = patch(&ada(), change, version(2), at(9)) else {
            panic!("it is another member now");
        };
        let (before, after) = (ada(), change.member);
        assert_eq!(after.ens_subname, None);
        assert_eq!(after.role, Role::Admin);
        assert_eq!((&after.name, &after.email), (&before.name, &before.email));
        let preferences = after.notification_preferences;
        assert!(!preferences.email_enabled && preferences.webhook_enabled);
        assert_eq!((after.registered_at, after.updated_at), (at(1), at(9)));
        assert_eq!(change.event.version, version(2));
        assert_eq!(change.event.ens_subname, None);
    }

    #[test]
    fn a_patch_that_changes_nothing_tells_nothing() {
        for value in [
            json!({}),
            json!({ "name": "Ada", "notification_preferences": { "email_enabled": false } }),
            json!({ "ethereum_address": null }),
        ] {
            let same = patch(&ada(), patch_of(value.clone()), version(2), at(9));
            assert_eq!(same, Patched::Same, "{value}");
        }
    }

    #[test]
    fn null_is_refused_where_a_member_must_have_a_value() {
        for field in ["name", "email", "role", "notification_preferences"] {
            let read = serde_json::from_value::<Patch>(json!({ field: null }));
            assert!(read.is_err(), "{field}");
        }
    }
}
