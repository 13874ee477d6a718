//! Webhooks: endpoints outside that are sent events by HTTP.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AggregateId, AggregateType, EventType, MemberId, Retention, Sequence, Text, Timestamp,
    WebhookId,
};

contracts! {
    kept Retention::Forever;
    Created: "webhook.created", Normal, "webhook-api", "webhook" [webhook_id];
    Changed: "webhook.changed", Normal, "webhook-api", "webhook" [webhook_id];
    Removed: "webhook.removed", Normal, "webhook-api", "webhook" [webhook_id];
    Failing: "webhook.failing", High, "webhook-sender", "webhook" [webhook_id];
    Disabled: "webhook.disabled", High, "webhook-sender", "webhook" [webhook_id];
}

/// Which events an endpoint is sent. An event has to fit every field that is there; without any field, every event fits.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WebhookSelection {
    /// Events of these types, or of these domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    pub event_types: Vec<EventType>,
    /// Events of these domains, or of these types.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 50))]
    pub domains: Vec<Text<64>>,
    /// Events of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Text<256>>,
    /// Events about aggregates of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_type: Option<AggregateType>,
    /// Events about this aggregate, whose type is given too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<AggregateId>,
    /// Events that this member gets a notice about: the endpoint is the member's channel `webhook`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
}

/// Whether an endpoint is sent events.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WebhookStatus {
    /// It is sent what it selects.
    Enabled,
    /// It is sent nothing. Once it is enabled again, it is sent what occurs from then on.
    Disabled,
}

impl WebhookStatus {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Enabled => "enabled",
            Self::Disabled => "disabled",
        }
    }
}

impl fmt::Display for WebhookStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why an endpoint was disabled without anybody asking for it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum WebhookGone {
    /// It answered 410: nobody listens there any more.
    Gone,
    /// It has failed for five days without one success.
    Failing,
}

/// How an endpoint is set up. The path and query of its URL and its secrets are not part of any event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct WebhookSettings {
    /// Scheme, host and port of its URL.
    pub origin: Text<300>,
    /// Which events it is sent.
    pub selection: WebhookSelection,
    /// Whether the events of an aggregate are sent one after the other, in their order.
    pub in_order: bool,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// Whether it is sent events.
    pub status: WebhookStatus,
    /// How many secrets it has had, with the newest. Each rotation adds one.
    pub secret_number: Sequence,
}

/// An endpoint was set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// How it is set up.
    pub settings: WebhookSettings,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    pub key_owner: Text<256>,
    /// The version of the endpoint's state after the change.
    pub version: Sequence,
}

/// An endpoint is set up in another way: its URL, its selection, its status, or a new secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// How it is set up now.
    pub settings: WebhookSettings,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    pub key_owner: Text<256>,
    /// The version of the endpoint's state after the change.
    pub version: Sequence,
}

/// An endpoint was removed. It is sent nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Removed {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    pub key_owner: Text<256>,
    /// The version of the endpoint's state after the change.
    pub version: Sequence,
}

/// An endpoint has failed for a while without one success: a warning before it is disabled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failing {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// Scheme, host and port of its URL.
    pub origin: Text<300>,
    /// When the first of its failures since its last success was.
    pub since: Timestamp,
    /// When it is disabled if it goes on to fail.
    pub disabled_at: Timestamp,
    /// What it answered last.
    pub last_error: Text<500>,
    /// The version of the endpoint's state after the change.
    pub version: Sequence,
}

/// An endpoint was disabled because it is gone, or has failed for too long.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Disabled {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// Scheme, host and port of its URL.
    pub origin: Text<300>,
    /// Why.
    pub reason: WebhookGone,
    /// When the first of its failures since its last success was; absent if it was disabled by its first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<Timestamp>,
    /// What it answered last.
    pub last_error: Text<500>,
    /// The version of the endpoint's state after the change.
    pub version: Sequence,
}
