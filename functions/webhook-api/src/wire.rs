//! Request and response bodies.

use std::fmt;

use api::{CursorToken, PageLimit};
use endpoints::{Attempt, Endpoint, EndpointStatus, lane::AttemptOutcome};
use events::{
    AggregateId, AggregateType, EventId, EventType, MemberId, Sequence, Text, Timestamp, WebhookId,
    contracts::webhook::WebhookSelection,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A text that can contain a secret. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Hidden(String);

impl Hidden {
    /// A text that `Debug` does not show.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden")
    }
}

/// Set up a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CreateWebhook {
    /// Where events are posted to: an https URL that leads to public addresses only, at most 2,000 characters. It can contain a
    /// secret: no answer and no event shows its path and query.
    pub url: Hidden,
    /// Which events it is sent. Without any field, all.
    #[serde(flatten)]
    pub selection: WebhookSelection,
    /// Whether the events of an aggregate are sent one after the other, in their order. An event that is not taken then delays
    /// those of its aggregate.
    #[serde(default)]
    pub in_order: bool,
    /// What it is for.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// Change a webhook. A field that is absent stays as it is; of the selection, all fields are replaced if one is given.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct ChangeWebhook {
    /// Where events are posted to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Hidden")]
    pub url: Option<Hidden>,
    /// Events of these types, or of these domains.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<EventType>", length(max = 100))]
    pub event_types: Option<Vec<EventType>>,
    /// Events of these domains, or of these types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Vec<Text<64>>", length(max = 50))]
    pub domains: Option<Vec<Text<64>>>,
    /// Events of this tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<256>")]
    pub tenant_id: Option<Text<256>>,
    /// Events about aggregates of this type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AggregateType")]
    pub aggregate_type: Option<AggregateType>,
    /// Events about this aggregate, whose type is given too.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "AggregateId")]
    pub aggregate_id: Option<AggregateId>,
    /// Events that this member gets a notice about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "MemberId")]
    pub member_id: Option<MemberId>,
    /// Whether the events of an aggregate are sent one after the other, in their order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "bool")]
    pub in_order: Option<bool>,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<500>")]
    pub description: Option<Text<500>>,
    /// Why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<500>")]
    pub reason: Option<Text<500>>,
}

impl ChangeWebhook {
    /// The new selection; `None` if no field of it is given.
    #[must_use]
    pub fn selection(&self) -> Option<WebhookSelection> {
        let is_given = self.event_types.is_some()
            || self.domains.is_some()
            || self.tenant_id.is_some()
            || self.aggregate_type.is_some()
            || self.aggregate_id.is_some()
            || self.member_id.is_some();
        is_given.then(|| WebhookSelection {
            event_types: self.event_types.clone().unwrap_or_default(),
            domains: self.domains.clone().unwrap_or_default(),
            tenant_id: self.tenant_id.clone(),
            aggregate_type: self.aggregate_type.clone(),
            aggregate_id: self.aggregate_id.clone(),
            member_id: self.member_id.clone(),
        })
    }
}

/// Enable a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EnableWebhook {
    /// Why.
    #[serde(default)]
    pub reason: Option<Text<500>>,
}

/// Disable a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DisableWebhook {
    /// Why.
    pub reason: Text<500>,
}

/// Give a webhook a new secret.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RotateWebhook {}

/// Remove a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RemoveWebhook {}

/// Send events once more.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RedeliverWebhook {
    /// The events, 1 to 20.
    #[schemars(length(min = 1, max = 20))]
    pub event_ids: Vec<EventId>,
}

/// The path parameter of a webhook.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WebhookPath {
    /// The webhook's id.
    pub webhook_id: WebhookId,
}

/// A webhook. The path and query of its URL and its secrets are never shown.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub struct WebhookView {
    /// Its id.
    pub webhook_id: WebhookId,
    /// Scheme, host and port of its URL.
    pub origin: Text<300>,
    /// Which events it is sent.
    pub selection: WebhookSelection,
    /// Whether the events of an aggregate are sent one after the other, in their order.
    pub in_order: bool,
    /// What it is for; null if that was not said.
    pub description: Option<Text<500>>,
    /// Its status.
    pub status: EndpointStatus,
    /// Since when it has its status.
    pub since: Timestamp,
    /// Why it has its status; null if that was not said.
    pub reason: Option<Text<500>>,
    /// When it was set up.
    pub created_at: Timestamp,
    /// Until when messages are also signed with the secret before the newest one; null if they are not.
    pub old_secret_until: Option<Timestamp>,
}

impl WebhookView {
    /// A webhook as it is at this time.
    #[must_use]
    pub fn of(endpoint: &Endpoint, now: Timestamp) -> Self {
        Self {
            webhook_id: endpoint.webhook_id(),
            origin: endpoint.origin().clone(),
            selection: endpoint.selection().clone(),
            in_order: endpoint.in_order(),
            description: endpoint.description().cloned(),
            status: endpoint.status(),
            since: endpoint.since(),
            reason: endpoint.reason().cloned(),
            created_at: endpoint.created_at(),
            old_secret_until: endpoint.old_secret_until(now),
        }
    }
}

/// What a request changed. Only the id is stored for repeats: a selection can have more bytes than a mark holds, and the secret
/// is shown once.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) webhook_id: WebhookId,
    /// The webhook after the change; absent in the answer to a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) webhook: Option<WebhookView>,
    /// The new secret; absent in the answer to a repeat.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) secret: Option<Hidden>,
}

impl Step {
    pub(crate) fn of(endpoint: &Endpoint, now: Timestamp, secret: Option<Hidden>) -> Self {
        Self {
            webhook_id: endpoint.webhook_id(),
            webhook: Some(WebhookView::of(endpoint, now)),
            secret,
        }
    }
}

/// The webhooks.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhooksAnswer {
    /// The webhooks that were not removed, the oldest first.
    pub items: Vec<WebhookView>,
}

/// A new webhook with its secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CreatedWebhook {
    /// The webhook.
    pub webhook: WebhookView,
    /// The secret with which messages are signed, shown only once. The answer to a repeat does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
}

/// A webhook with its new secret.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RotatedWebhook {
    /// The webhook.
    pub webhook: WebhookView,
    /// The new secret with which messages are signed, shown only once. The answer to a repeat does not have it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Hidden>,
    /// Until when messages are also signed with the secret before; null if they are not.
    pub old_secret_until: Option<Timestamp>,
}

/// A webhook that was removed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RemovedWebhook {
    /// Its id.
    pub webhook_id: WebhookId,
    /// Whether it was removed: always true.
    pub removed: bool,
}

/// A webhook and how far it has got.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookAnswer {
    /// The webhook.
    #[serde(flatten)]
    pub webhook: WebhookView,
    /// How far it has got.
    pub progress: WebhookProgress,
}

/// How far a webhook has got.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WebhookProgress {
    /// The position in the feed up to which it was sent what it selects, or what it selects waits for its next attempt.
    pub position: u64,
    /// The last position in the feed.
    pub head: u64,
    /// How many positions there are between them. They can have events that it does not select.
    pub behind: u64,
    /// Whether it is sent nothing new for the time being: it has failed ten times in a row, or 1,000 events wait for their next
    /// attempt.
    pub halted: bool,
    /// How many attempts have failed since the last success.
    pub failures: u32,
    /// When the first of them was; null if there is none.
    pub failing_since: Option<Timestamp>,
    /// What the last of them got; null if there is none.
    pub last_error: Option<String>,
    /// When it was tried last; null if it was not since it was enabled.
    pub tried_at: Option<Timestamp>,
    /// When it took an event last; null if it never did.
    pub delivered_at: Option<Timestamp>,
    /// How many events wait for their next attempt.
    pub waiting: usize,
    /// When the next attempt is due; null if none is, or if it is disabled.
    pub next_attempt_at: Option<Timestamp>,
    /// When it is disabled if it goes on to fail: five days after `failing_since`. Null if it does not fail, or is disabled.
    pub disabled_at: Option<Timestamp>,
}

/// Which attempts are wanted. Only attempts that fit every parameter are returned.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DeliveriesQuery {
    /// What became of the attempt.
    #[serde(default)]
    pub outcome: Option<AttemptOutcome>,
    /// The event.
    #[serde(default)]
    pub event_id: Option<EventId>,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// An attempt to deliver an event.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "WebhookDelivery")]
pub struct DeliveryView {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Its position in the feed.
    pub position: u64,
    /// The number of this attempt, from 1.
    pub attempt: Sequence,
    /// When it was made.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// The HTTP status of the answer; null if there was none.
    pub status: Option<u16>,
    /// The beginning of the answer, or why there was none; null if the answer was empty.
    pub detail: Option<String>,
    /// When the next attempt is due; null if there is none.
    pub next_at: Option<Timestamp>,
}

impl From<Attempt> for DeliveryView {
    fn from(attempt: Attempt) -> Self {
        Self {
            event_id: attempt.event_id,
            event_type: attempt.event_type,
            position: attempt.position,
            attempt: attempt.attempt,
            at: attempt.at,
            took_ms: attempt.took_ms,
            outcome: attempt.outcome,
            status: attempt.status,
            detail: attempt.detail,
            next_at: attempt.next_at,
        }
    }
}

/// A page of attempts.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DeliveriesPage {
    /// The attempts, newest first. There can be fewer than asked for, or none, before the last page.
    pub items: Vec<DeliveryView>,
    /// The cursor of the next page; null after the last page.
    pub next_cursor: Option<CursorToken>,
}

/// Which events are sent once more.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RedeliveredWebhook {
    /// The events that are sent once more.
    pub accepted: Vec<EventId>,
    /// The events that the feed does not know, or no longer.
    pub unknown: Vec<EventId>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_neither_a_url_nor_a_secret() {
        let request = serde_json::json!({ "url": "https://example.com/token" });
        let create: CreateWebhook = serde_json::from_value(request.clone()).expect("a request");
        let change: ChangeWebhook = serde_json::from_value(request).expect("a request");
        let text = format!(
            "{create:?} {change:?} {:?}",
            Hidden::new("token".to_owned())
        );
        assert!(!text.contains("token"), "{text}");
        assert_eq!(create.url.expose(), "https://example.com/token");
    }

    #[test]
    fn one_field_of_the_selection_replaces_all_of_it() {
        let selection = |json| {
            let change: ChangeWebhook = serde_json::from_value(json).expect("a request");
            change.selection()
        };
        assert_eq!(selection(serde_json::json!({ "in_order": true })), None);
        let all = selection(serde_json::json!({ "event_types": [] }));
        assert_eq!(all, Some(WebhookSelection::default()));
        let tenant = selection(serde_json::json!({ "tenant_id": "t" }));
        assert!(tenant.is_some_and(|one| one.tenant_id.is_some() && one.domains.is_empty()));
    }
}
