//! What a message of the dead-letter queue says. There are three kinds of messages:
//!
//! * **parked** by a consumer: attributes name the consumer, its reason, the error and the times;
//! * **moved by SQS** after too many receives: SQS names the queue that the message was in, a consumer's lane;
//! * **moved by EventBridge**, which could not deliver the event to a lane: attributes name the lane and the error, and
//!   the body is the bus's event, with the envelope in `detail`, or the envelope itself.
//!
//! Whatever else is in the queue becomes a letter too: nothing is thrown away because it cannot be read.

use std::collections::BTreeMap;

use events::{Envelope, Registry, Timestamp};
use outbox::{BuildError, Condition, Key, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::letter::{BODY_LIFE, LetterId, cut};

/// The consumer and the reason of a message that tells neither.
pub const UNKNOWN: &str = "unknown";

/// The reason of a message that SQS moved.
pub const EXHAUSTED: &str = "exhausted";

/// The reason of a message that EventBridge moved.
pub const UNDELIVERED: &str = "undelivered";

/// The largest body that a row keeps, in bytes: a message can have 1 MiB, a row 400 KB, an event 200 KB
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-29).
pub const BODY_BYTES: usize = 300 * 1024;

/// The longest attribute of a message that a row keeps, in bytes.
const ATTRIBUTE_BYTES: usize = 8 * 1024;

/// How many attributes a message can have
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read 2026-11-21).
const ATTRIBUTES: usize = 10;

/// The longest name or id that is taken from a message, in bytes: an aggregate's id has up to 1,024.
const NAME_BYTES: usize = 1_100;

/// A message of the dead-letter queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct QueueMessage {
    /// The id that SQS gave it.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Its message attributes of type text.
    pub attributes: BTreeMap<String, String>,
    /// The ARN of the queue from which SQS moved it.
    pub source_arn: Option<String>,
}

/// What a message of the dead-letter queue says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drained {
    /// The message's id.
    pub message_id: String,
    /// The consumer that could not handle it, or [`UNKNOWN`].
    pub consumer: String,
    /// The event's id.
    pub event_id: Option<String>,
    /// The event's type.
    pub event_type: Option<String>,
    /// What the event is about, `type#id`.
    pub aggregate: Option<String>,
    /// The event's number in its aggregate.
    pub sequence: Option<u64>,
    /// The event's tenant.
    pub tenant_id: Option<String>,
    /// The chain that the event belongs to.
    pub correlation_id: Option<String>,
    /// The consumer's reason, [`EXHAUSTED`], [`UNDELIVERED`] or [`UNKNOWN`].
    pub reason: String,
    /// The error with its sources; empty if none is told.
    pub error: String,
    /// How often the consumer failed to handle it; 0 if that is not told.
    pub attempts: u32,
    /// When it was parked; if that is not told, when it was read.
    pub parked_at: Timestamp,
}

impl Drained {
    /// Reads a message at a time.
    #[must_use]
    pub fn read(message: &QueueMessage, now: Timestamp) -> Self {
        let attribute = |name: &str| message.attributes.get(name).map(String::as_str);
        let event = Event::of(&message.body);
        let is_of_bus = attribute("ERROR_CODE").is_some()
            || attribute("RULE_ARN").is_some()
            || attribute("TARGET_ARN").is_some();
        let moved_from = message.source_arn.as_deref();
        let lane = moved_from.or_else(|| attribute("TARGET_ARN"));
        let consumer = attribute("consumer")
            .or_else(|| lane.and_then(consumer_of))
            .unwrap_or(UNKNOWN);
        let (reason, error) = if let Some(reason) = attribute("reason") {
            (reason, attribute("error").unwrap_or_default().to_owned())
        } else if is_of_bus {
            let told = [attribute("ERROR_CODE"), attribute("ERROR_MESSAGE")];
            let told: Vec<&str> = told.into_iter().flatten().collect();
            (UNDELIVERED, told.join(": "))
        } else if moved_from.is_some() {
            let error = "SQS moved it after too many receives: the consumer never answered";
            (EXHAUSTED, error.to_owned())
        } else {
            (UNKNOWN, String::new())
        };
        let name = |text: &str| cut(text, NAME_BYTES);
        let named = |of_event: Option<String>, attribute: Option<&str>| {
            let text = of_event.or_else(|| attribute.map(str::to_owned));
            text.filter(|text| !text.is_empty()).map(|text| name(&text))
        };
        Self {
            message_id: message.message_id.clone(),
            consumer: name(consumer),
            event_id: named(event.event_id, attribute("event_id")),
            event_type: named(event.event_type, attribute("event_type")),
            aggregate: event
                .aggregate_type
                .zip(event.aggregate_id)
                .map(|(of_type, id)| name(&format!("{of_type}#{id}"))),
            sequence: event.sequence,
            tenant_id: named(event.tenant_id, None),
            correlation_id: named(event.correlation_id, None),
            reason: name(reason),
            error,
            attempts: attribute("attempts")
                .and_then(|text| text.parse().ok())
                .unwrap_or_default(),
            parked_at: attribute("parked_at")
                .and_then(|text| text.parse().ok())
                .unwrap_or(now),
        }
    }

    /// The id of the letter that the message is about.
    #[must_use]
    pub fn letter_id(&self) -> LetterId {
        LetterId::of(&self.consumer, self.event_id.as_deref(), &self.message_id)
    }
}

/// The consumer whose lane a queue is, by the queue's ARN. The stack's name, in front, has no underscore; the lane's name
/// is the last word.
fn consumer_of(queue_arn: &str) -> Option<&str> {
    let queue = queue_arn.rsplit(':').next()?;
    let (_, queue) = queue.split_once('_')?;
    let (consumer, _lane) = queue.rsplit_once('-')?;
    (!consumer.is_empty()).then_some(consumer)
}

/// What a letter needs of an event, as far as a body has it.
#[derive(Debug, Default)]
struct Event {
    event_id: Option<String>,
    event_type: Option<String>,
    aggregate_type: Option<String>,
    aggregate_id: Option<String>,
    sequence: Option<u64>,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
}

impl Event {
    fn of(body: &str) -> Self {
        let event: Value = serde_json::from_str(event_json(body)).unwrap_or_default();
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        let tenant_id = event
            .get("metadata")
            .and_then(|metadata| metadata.get("tenant_id"));
        Self {
            event_id: text("event_id"),
            event_type: text("event_type"),
            aggregate_type: text("aggregate_type"),
            aggregate_id: text("aggregate_id"),
            sequence: event.get("sequence").and_then(Value::as_u64),
            tenant_id: tenant_id.and_then(Value::as_str).map(str::to_owned),
            correlation_id: text("correlation_id"),
        }
    }
}

/// The bus's event, as far as it has to be read.
#[derive(Deserialize)]
struct BusEvent<'a> {
    #[serde(rename = "detail-type")]
    _detail_type: String,
    #[serde(borrow)]
    detail: &'a RawValue,
}

/// The event in a body, byte for byte: the body itself, or its `detail` if the body is the bus's event.
fn event_json(body: &str) -> &str {
    match serde_json::from_str::<BusEvent<'_>>(body) {
        Ok(event) if event.detail.get().starts_with('{') => event.detail.get(),
        _ => body,
    }
}

/// The body of a letter's last message, in a row beside the letter's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Body {
    /// The body. One of more than 300 KB is cut.
    pub body: String,
    /// How many bytes the message's body had.
    pub bytes: u64,
    /// The message's attributes of type text.
    pub attributes: BTreeMap<String, String>,
    /// When the row expires, in seconds since 1970.
    pub expires_at: i64,
    /// When the row was written, in milliseconds since 1970. A body replaces older ones, also that of a letter whose own
    /// row has expired.
    #[schemars(skip)]
    version: u64,
}

impl Body {
    /// The row of a message's body.
    #[must_use]
    pub fn of(message: &QueueMessage, now: Timestamp) -> Self {
        let attributes = message.attributes.iter().take(ATTRIBUTES);
        Self {
            body: cut(&message.body, BODY_BYTES),
            bytes: message.body.len() as u64,
            attributes: attributes
                .map(|(name, text)| (cut(name, 256), cut(text, ATTRIBUTE_BYTES)))
                .collect(),
            expires_at: now.plus(BODY_LIFE).unix_seconds(),
            version: u64::try_from(now.unix_millis()).unwrap_or_default(),
        }
    }

    /// Writes the row, in place of an older one.
    ///
    /// # Errors
    /// [`BuildError`] when the row cannot be built.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        letter: &LetterId,
    ) -> Result<(), BuildError> {
        let older = Condition::OlderThan(self.version);
        transaction.put(Self::key(table, letter), self, older)
    }

    /// The key of a letter's body.
    #[must_use]
    pub fn key(table: &Table, letter: &LetterId) -> Key {
        table.key(format!("letter#{letter}"), "body")
    }

    /// The key of the body that a letter had before its message was edited for the first time.
    #[must_use]
    pub fn original_key(table: &Table, letter: &LetterId) -> Key {
        table.key(format!("letter#{letter}"), "original")
    }

    /// Whether all of the message's body was kept.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.body.len() as u64 == self.bytes
    }

    /// What to send to the consumer: the event, byte for byte. `None` if the body is cut.
    #[must_use]
    pub fn event_json(&self) -> Option<&str> {
        self.is_whole().then(|| event_json(&self.body))
    }

    /// The envelope, if the body has a complete one.
    #[must_use]
    pub fn envelope(&self) -> Option<Envelope> {
        Registry::read(self.event_json()?).ok()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use serde_json::json;

    use super::*;

    pub(crate) fn at(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1_000).expect("a moment")
    }

    pub(crate) const ENVELOPE: &str =
        include_str!("../../events/samples/common/envelope-v1/full.json");

    fn message(body: &str, attributes: &[(&str, &str)], source_arn: Option<&str>) -> QueueMessage {
        let attributes = attributes.iter();
        QueueMessage {
            message_id: "m-1".into(),
            body: body.to_owned(),
            attributes: attributes
                .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
                .collect(),
            source_arn: source_arn.map(str::to_owned),
        }
    }

    /// What a consumer parked at a second.
    pub(crate) fn parked(message_id: &str, second: i64) -> Drained {
        let parked_at = at(second).to_string();
        let attributes = [
            ("consumer", "analytics"),
            ("reason", "rejected"),
            ("error", "wallet 17 is closed"),
            ("attempts", "4"),
            ("parked_at", parked_at.as_str()),
        ];
        let mut message = message(ENVELOPE, &attributes, None);
        message.message_id = message_id.to_owned();
        Drained::read(&message, at(second + 1))
    }

    #[test]
    fn a_consumers_letter_tells_all_of_it() {
        let drained = parked("m-1", 10);
        let envelope: Value = serde_json::from_str(ENVELOPE).expect("JSON");
        assert_eq!(drained.consumer, "analytics");
        assert_eq!(drained.reason, "rejected");
        assert_eq!(drained.error, "wallet 17 is closed");
        assert_eq!((drained.attempts, drained.parked_at), (4, at(10)));
        assert_eq!(drained.event_id.as_deref(), envelope["event_id"].as_str());
        assert_eq!(
            drained.event_type.as_deref(),
            envelope["event_type"].as_str()
        );
        assert_eq!(drained.sequence, envelope["sequence"].as_u64());
        assert!(drained.aggregate.expect("one").contains('#'));
    }

    #[test]
    fn what_sqs_moved_is_of_the_consumer_whose_lane_it_was_in() {
        for (arn, consumer) in [
            (
                "arn:aws:sqs:us-east-1:000000000000:mill_cloud-treasury-express",
                "cloud-treasury",
            ),
            (
                "arn:aws:sqs:us-east-1:000000000000:mill_analytics-standard",
                "analytics",
            ),
            ("arn:aws:sqs:us-east-1:000000000000:elsewhere", UNKNOWN),
            ("", UNKNOWN),
        ] {
            let drained = Drained::read(&message(ENVELOPE, &[], Some(arn)), at(5));
            assert_eq!(drained.consumer, consumer, "{arn}");
            assert_eq!(
                (drained.reason.as_str(), drained.parked_at),
                (EXHAUSTED, at(5))
            );
        }
    }

    #[test]
    fn what_eventbridge_moved_has_its_envelope_in_detail_or_as_its_body() {
        let attributes = [
            (
                "RULE_ARN",
                "arn:aws:events:us-east-1:000000000000:rule/mill/analytics-express",
            ),
            (
                "TARGET_ARN",
                "arn:aws:sqs:us-east-1:000000000000:mill_analytics-express",
            ),
            ("ERROR_CODE", "NO_PERMISSIONS"),
            ("ERROR_MESSAGE", "Access denied"),
        ];
        let of_bus = format!(
            r#"{{"version": "0", "detail-type": "x.y", "source": "s", "detail": {ENVELOPE}}}"#
        );
        let id = |drained: &Drained| drained.letter_id();
        let in_detail = Drained::read(&message(&of_bus, &attributes, None), at(5));
        let itself = Drained::read(&message(ENVELOPE, &attributes, None), at(5));
        assert_eq!(in_detail, itself);
        assert_eq!(id(&in_detail), parked("m-9", 1).letter_id());
        assert_eq!(in_detail.consumer, "analytics");
        assert_eq!(in_detail.reason, UNDELIVERED);
        assert_eq!(in_detail.error, "NO_PERMISSIONS: Access denied");
        // What is sent to the consumer is the event, as a lane has it, byte for byte.
        let body = Body::of(&message(&of_bus, &attributes, None), at(5));
        assert_eq!(body.event_json(), Some(ENVELOPE.trim()));
        assert!(body.envelope().is_some());
    }

    #[test]
    fn whatever_else_is_in_the_queue_is_a_letter_too() {
        let deep = "[".repeat(100_000);
        for body in [
            "",
            "no json",
            "[]",
            "{\"event_id\": 7}",
            "{\"detail-type\": 1, \"detail\": 2}",
            "null",
            &deep,
        ] {
            let drained = Drained::read(&message(body, &[], None), at(5));
            assert_eq!(
                (drained.consumer.as_str(), drained.reason.as_str()),
                (UNKNOWN, UNKNOWN)
            );
            assert_eq!(drained.event_id, None);
            assert_eq!(drained.letter_id(), LetterId::of(UNKNOWN, None, "m-1"));
        }
        let malformed = [
            ("consumer", "analytics"),
            ("reason", "malformed"),
            ("event_id", ""),
            ("attempts", "many"),
            ("parked_at", "soon"),
        ];
        let drained = Drained::read(&message("{", &malformed, None), at(5));
        assert_eq!((drained.attempts, drained.parked_at), (0, at(5)));
        assert_eq!(drained.letter_id(), LetterId::of("analytics", None, "m-1"));
    }

    #[test]
    fn a_body_that_does_not_fit_a_row_is_cut_and_is_not_sent() {
        let long = json!({ "event_id": "e", "text": "ä".repeat(BODY_BYTES) }).to_string();
        let body = Body::of(
            &message(&long, &[("error", &"e".repeat(100_000))], None),
            at(5),
        );
        assert!(body.body.len() <= BODY_BYTES && !body.is_whole());
        assert_eq!((body.event_json(), body.envelope()), (None, None));
        assert_eq!(body.attributes["error"].len(), ATTRIBUTE_BYTES);
    }
}
