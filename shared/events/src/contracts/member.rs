//! Members: who takes part, and through which channels they want notices.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EmailAddress, EthereumAddress, MemberId, Retention, Sequence, Text};

contracts! {
    kept Retention::Forever;
    Registered: "member.registered", Normal, "member-api", "member" [member_id];
    Updated: "member.updated", Normal, "member-api", "member" [member_id];
}

/// The role of a member: what the member may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Role {
    /// An ordinary member.
    #[default]
    Member,
    /// An administrator, who receives the alerts.
    Admin,
}

/// The channels that a member wants, each switched separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationPreferences {
    /// E-mail; on by default.
    pub email_enabled: bool,
    /// Notices in the application; on by default.
    pub in_app_enabled: bool,
    /// Calls to the member's own endpoint; off by default.
    pub webhook_enabled: bool,
}

impl Default for NotificationPreferences {
    fn default() -> Self {
        Self {
            email_enabled: true,
            in_app_enabled: true,
            webhook_enabled: false,
        }
    }
}

macro_rules! member_event {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The member.
            pub member_id: MemberId,
            /// Their name.
            pub name: Text<200>,
            /// Their e-mail address.
            pub email: EmailAddress,
            /// Their role.
            pub role: Role,
            /// Their name in the Ethereum Name Service.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ens_subname: Option<Text<255>>,
            /// Their address on the chain.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ethereum_address: Option<EthereumAddress>,
            /// The channels that they want.
            pub notification_preferences: NotificationPreferences,
            /// The member's version after this event; projections use it as their version guard.
            pub version: Sequence,
        }
    };
}

member_event!(
    /// A member was registered.
    Registered
);
member_event!(
    /// A member's data changed. The fields hold the complete data after the change.
    Updated
);
