//! The envelope: the wire format of an event.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    AggregateId, AggregateType, CorrelationId, EventId, EventType, EventVersion, IdempotencyKey,
    Priority, Producer, Sequence, Text, Timestamp, TraceParent, Violation,
    text::{may_be_undeliverable, undeliverable},
};

/// The largest serialised envelope, in bytes. 200 KB stays within every limit on the way, including what each hop adds
/// (EventBridge and SQS take 256 KB at least; <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read 2026-11-21).
pub const MAX_ENVELOPE_BYTES: usize = 200 * 1024;

/// Why an envelope could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// The envelope is too large.
    #[error("the serialised event has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// [`MAX_ENVELOPE_BYTES`].
        max: usize,
    },
    /// A text contains a character that SQS cannot carry, so the event would reach nobody.
    #[error("the event cannot be delivered: {0}")]
    Undeliverable(Violation),
    /// The payload could not be written as JSON.
    #[error("cannot write the event as JSON")]
    Json(#[source] serde_json::Error),
}

/// A payload exactly as the producer wrote it: a JSON object, byte for byte.
#[derive(Debug, Clone)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// Serialises a value.
    ///
    /// # Errors
    /// [`EnvelopeError::Json`] if it cannot be serialised.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, EnvelopeError> {
        serde_json::value::to_raw_value(value)
            .map(Self)
            .map_err(EnvelopeError::Json)
    }

    /// The JSON text.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }

    /// The JSON value, for decoders.
    #[must_use]
    pub fn raw(&self) -> &RawValue {
        &self.0
    }
}

impl PartialEq for Payload {
    fn eq(&self, other: &Self) -> bool {
        self.json() == other.json()
    }
}
impl Eq for Payload {}

impl Serialize for Payload {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Payload {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        if raw.get().starts_with('{') {
            Ok(Self(raw))
        } else {
            Err(serde::de::Error::custom("the payload must be an object"))
        }
    }
}

impl JsonSchema for Payload {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Payload".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "object", "description": "The payload, as the contract of the event's type and version defines it." })
    }
}

/// Who acted and from where. It holds no secrets, and no handler needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The acting user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Text<256>>,
    /// The user's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Text<256>>,
    /// The IP address of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Text<64>>,
    /// The user agent of the request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Text<1024>>,
    /// A filter, not a boundary: one deployment is one trust domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Text<256>>,
    /// Any other keys, with text values.
    #[serde(flatten)]
    pub other: BTreeMap<String, String>,
}

/// An event as the event log, the bus and the lanes carry it.
///
/// Unknown fields are ignored, because a newer producer may send fields that an older consumer does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The event's id.
    pub event_id: EventId,
    /// The event type: `domain.action`.
    pub event_type: EventType,
    /// The contract's version.
    pub event_version: EventVersion,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// Who published it.
    pub producer: Producer,
    /// The publishing program's version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer_version: Option<Text<64>>,
    /// The publishing program's instance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub producer_instance: Option<Text<256>>,
    /// The chain that the event belongs to: the id of the event that started it, unless the caller set another one.
    pub correlation_id: CorrelationId,
    /// The event whose handling emitted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub causation_id: Option<EventId>,
    /// The event above it in a hierarchy.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_event_id: Option<EventId>,
    /// The trace it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trace_id: Option<TraceParent>,
    /// `{event_type}.{event_version}`. It is carried along, but nothing routes by it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Text<160>>,
    /// How soon the event must be handled.
    pub priority: Priority,
    /// The kind of thing that the event is about.
    pub aggregate_type: AggregateType,
    /// The id of the thing that the event is about.
    pub aggregate_id: AggregateId,
    /// The event's number among the events of its aggregate, assigned at commit.
    pub sequence: Sequence,
    /// Names the fact that the event announces, once and forever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// What happened.
    pub payload: Payload,
    /// Who acted and from where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl Envelope {
    /// Serialises the envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLarge`] if it is above [`MAX_ENVELOPE_BYTES`], [`EnvelopeError::Undeliverable`] if it holds a
    /// character that SQS refuses ([`crate::is_deliverable`]).
    pub fn to_json(&self) -> Result<String, EnvelopeError> {
        let text = serde_json::to_string(self).map_err(EnvelopeError::Json)?;
        if text.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge {
                bytes: text.len(),
                max: MAX_ENVELOPE_BYTES,
            });
        }
        if may_be_undeliverable(&text) {
            let document = serde_json::from_str(&text).map_err(EnvelopeError::Json)?;
            if let Some(first) = undeliverable(&document).into_iter().next() {
                return Err(EnvelopeError::Undeliverable(first));
            }
        }
        Ok(text)
    }

    /// The event log's partition key: `aggregate_type#aggregate_id`.
    #[must_use]
    pub fn aggregate(&self) -> String {
        format!("{}#{}", self.aggregate_type, self.aggregate_id)
    }
}
