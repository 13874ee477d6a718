//! What a patch can name. An absent field stays as it is; null clears a field that is optional for a member.

use events::{
    EmailAddress, EthereumAddress, Text,
    contracts::member::{NotificationPreferences, Role},
};
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer};

use crate::Member;

/// Changes fields of a member.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[schemars(rename = "MemberPatch")]
pub struct Patch {
    /// The new name.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Text<200>")]
    pub name: Option<Text<200>>,
    /// The new e-mail address.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "EmailAddress")]
    pub email: Option<EmailAddress>,
    /// The new role.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Role")]
    pub role: Option<Role>,
    /// The new name in the Ethereum Name Service; null to remove it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<Text<255>>")]
    pub ens_subname: Option<Option<Text<255>>>,
    /// The new address on the chain; null to remove it.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "Option<EthereumAddress>")]
    pub ethereum_address: Option<Option<EthereumAddress>>,
    /// The channels to switch; a channel that is not named stays as it is.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "PreferencesPatch")]
    pub notification_preferences: Option<PreferencesPatch>,
}

/// Channels to switch on or off.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct PreferencesPatch {
    /// E-mail; on by default.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "bool")]
    pub email_enabled: Option<bool>,
    /// Notes in the application; on by default.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "bool")]
    pub in_app_enabled: Option<bool>,
    /// Calls to the member's own endpoint; off by default.
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    #[schemars(with = "bool")]
    pub webhook_enabled: Option<bool>,
}

/// The value of a field that is present, null included if the type allows it. An absent field never gets here.
fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

impl Patch {
    /// The member with the patch applied.
    pub(crate) fn over(self, member: Member) -> Member {
        let preferences = self.notification_preferences.unwrap_or_default();
        Member {
            name: self.name.unwrap_or(member.name),
            email: self.email.unwrap_or(member.email),
            role: self.role.unwrap_or(member.role),
            ens_subname: self.ens_subname.unwrap_or(member.ens_subname),
            ethereum_address: self.ethereum_address.unwrap_or(member.ethereum_address),
            notification_preferences: preferences.over(member.notification_preferences),
            ..member
        }
    }
}

impl PreferencesPatch {
    /// The preferences with the patch applied.
    pub(crate) fn over(self, preferences: NotificationPreferences) -> NotificationPreferences {
        NotificationPreferences {
            email_enabled: self.email_enabled.unwrap_or(preferences.email_enabled),
            in_app_enabled: self.in_app_enabled.unwrap_or(preferences.in_app_enabled),
            webhook_enabled: self.webhook_enabled.unwrap_or(preferences.webhook_enabled),
        }
    }
}
