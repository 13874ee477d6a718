//! Members: who takes part, and how they want to hear of things.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{EmailAddress, EthereumAddress, MemberId, Retention, Sequence, Text};

contracts! {
    kept Retention::Days(7);
    Registered: "member.registered", Normal, "member-api", "member" [member_id];
    Updated: "member.updated", Normal, "member-api", "member" [member_id];
}

/// What a member may do.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Role {
    /// Takes part.
    #[default]
    Member,
    /// Runs the place; gets the alerts.
    Admin,
}

/// Which channels a member wants, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NotificationPreferences {
    /// E-mail; on by default.
    pub email_enabled: bool,
    /// Notes in the application; on by default.
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
            pub notification_preferences: NotificationPreferences,
            /// The member's version after it; projections are guarded by it.
            pub version: Sequence,
        }
    };
}

member_event!(
    /// Somebody became a member.
    Registered
);
member_event!(
    /// Something about a member changed; the fields state all of them after the change.
    Updated
);
