//! The wire format.

use std::{borrow::Cow, collections::BTreeMap};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use serde_json::value::RawValue;

use crate::{
    AggregateId, AggregateType, CorrelationId, EventId, EventType, EventVersion, IdempotencyKey,
    Priority, Producer, Sequence, Text, Timestamp, TraceParent,
};

/// The largest serialised envelope, in bytes: 200 KB fits every limit on the way, together with what each hop adds
/// (EventBridge and SQS take 256 KB at least; <https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>,
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read 2026-11-21).
pub const MAX_ENVELOPE_BYTES: usize = 200 * 1024;

/// Why an envelope could not be written.
#[derive(Debug, thiserror::Error)]
pub enum EnvelopeError {
    /// Too large.
    #[error("the serialised event has {bytes} bytes; at most {max} are allowed")]
    TooLarge {
        /// Its size in bytes.
        bytes: usize,
        /// [`MAX_ENVELOPE_BYTES`].
        max: usize,
    },
    /// The payload could not be written as JSON.
    #[error("cannot write the event as JSON")]
    Json(#[source] serde_json::Error),
}

/// A payload as it was written: a JSON object, byte for byte.
#[derive(Debug, Clone)]
pub struct Payload(Box<RawValue>);

impl Payload {
    /// Writes a value.
    ///
    /// # Errors
    /// [`EnvelopeError::Json`] when it does not serialise.
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
            Err(serde::de::Error::custom("payload is an object"))
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
        json_schema!({ "type": "object", "description": "As the contract of the event's type and version says." })
    }
}

/// Who and where from; never secret, never needed to handle the event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Metadata {
    /// The acting user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<Text<256>>,
    /// The user's session.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub session_id: Option<Text<256>>,
    /// Where the request came from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_address: Option<Text<64>>,
    /// What the request was made with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Text<1024>>,
    /// A filter, no boundary: one deployment is one trust domain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant_id: Option<Text<256>>,
    /// Anything else, as text.
    #[serde(flatten)]
    pub other: BTreeMap<String, String>,
}

/// An event as it stands in the event log, on the bus and in the lanes.
///
/// Unknown fields are ignored: a newer producer may send what an older consumer does not know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Envelope {
    /// The event's identity.
    pub event_id: EventId,
    /// `domain.action`.
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
    /// The chain it belongs to; filled in with its own id where a chain starts.
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
    /// `{event_type}.{event_version}`; carried, routes nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub routing_key: Option<Text<160>>,
    /// How soon it must be handled.
    pub priority: Priority,
    /// What kind of thing it is about.
    pub aggregate_type: AggregateType,
    /// Which of them.
    pub aggregate_id: AggregateId,
    /// Its number among that thing's events, given at commit.
    pub sequence: Sequence,
    /// Names the fact it tells, once and for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub idempotency_key: Option<IdempotencyKey>,
    /// What happened.
    pub payload: Payload,
    /// Who and where from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub metadata: Option<Metadata>,
}

impl Envelope {
    /// Writes the envelope.
    ///
    /// # Errors
    /// [`EnvelopeError::TooLarge`] beyond [`MAX_ENVELOPE_BYTES`].
    pub fn to_json(&self) -> Result<String, EnvelopeError> {
        let text = serde_json::to_string(self).map_err(EnvelopeError::Json)?;
        if text.len() > MAX_ENVELOPE_BYTES {
            return Err(EnvelopeError::TooLarge {
                bytes: text.len(),
                max: MAX_ENVELOPE_BYTES,
            });
        }
        Ok(text)
    }

    /// The event log's partition key: `aggregate_type#aggregate_id`.
    #[must_use]
    pub fn aggregate(&self) -> String {
        format!("{}#{}", self.aggregate_type, self.aggregate_id)
    }
}
