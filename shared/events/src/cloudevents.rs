//! Converts events to and from CloudEvents 1.0 in JSON, without loss
//! (<https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md>, read 2026-11-29).
//!
//! | envelope | CloudEvent |
//! |---|---|
//! | `event_id`, `event_type`, `occurred_at`, `producer` | `id`, `type`, `time`, `source` |
//! | `aggregate_type` / `aggregate_id` | `subject`, and an attribute each |
//! | `event_version` | `eventversion`, and `dataschema` with the contract's `$id` |
//! | `payload` | `data`, byte for byte |
//! | `trace_id` | `traceparent`, of the tracing extension |
//! | `sequence` | `sequence`, of the extension of that name: twenty digits, so that the texts sort as the numbers do |
//! | `metadata` | `metadata`: a JSON object as text, because attributes cannot hold objects |
//! | any other field | its name without `_` |
//!
//! Attributes of a foreign CloudEvent that have no place in the envelope are kept as metadata whose keys begin with
//! `ce_`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::{
    ContractInfo, Envelope, Invalid, Timestamp, Violation, Violations, contract::schema_id,
    violation::escape,
};

/// The media type of one event.
pub const MEDIA_TYPE: &str = "application/cloudevents+json";

/// The media type of a list of events.
pub const BATCH_MEDIA_TYPE: &str = "application/cloudevents-batch+json";

const SPEC_VERSION: &str = "1.0";
/// The prefix of metadata keys for attributes that only foreign CloudEvents have.
const FOREIGN: &str = "ce_";
const DIGITS: usize = 20;
/// The maximum length of a [`crate::Producer`], in characters.
const PRODUCER_AT_MOST: usize = 128;

/// The envelope's text fields that become attributes under their name without `_`.
const PLAIN: [&str; 10] = [
    "producer_version",
    "producer_instance",
    "correlation_id",
    "causation_id",
    "parent_event_id",
    "routing_key",
    "priority",
    "aggregate_type",
    "aggregate_id",
    "idempotency_key",
];

#[derive(Serialize)]
struct Outgoing<'a> {
    specversion: &'static str,
    #[serde(flatten)]
    attributes: BTreeMap<String, String>,
    data: &'a RawValue,
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(borrow)]
    data: Option<&'a RawValue>,
    #[serde(flatten)]
    attributes: BTreeMap<String, Value>,
}

impl Envelope {
    /// Converts the event to a CloudEvent.
    ///
    /// # Errors
    /// If it cannot be serialised.
    pub fn to_cloudevent(&self) -> Result<Box<RawValue>, serde_json::Error> {
        let mut attributes = BTreeMap::new();
        let mut put = |name: &str, value: String| attributes.insert(name.to_owned(), value);
        let fields = serde_json::to_value(self)?;
        for name in PLAIN {
            if let Some(text) = fields.get(name).and_then(Value::as_str) {
                put(&attribute(name), text.to_owned());
            }
        }
        let subject = format!("{}/{}", self.aggregate_type, self.aggregate_id);
        put("id", self.event_id.to_string());
        put("type", self.event_type.to_string());
        put("source", self.producer.to_string());
        put("subject", subject);
        put("time", self.occurred_at.to_string());
        put("eventversion", self.event_version.to_string());
        put("datacontenttype", "application/json".to_owned());
        let version = self.event_version.number();
        put("dataschema", schema_id(self.event_type.as_str(), version));
        put("sequence", format!("{:0DIGITS$}", self.sequence.number()));
        if let Some(trace) = &self.trace_id {
            put("traceparent", trace.to_string());
        }
        if let Some(metadata) = &self.metadata {
            let mut own = metadata.clone();
            for (name, value) in &metadata.other {
                if let Some(foreign) = name.strip_prefix(FOREIGN).filter(|name| is_name(name)) {
                    put(foreign, value.clone());
                    own.other.remove(name);
                }
            }
            if own != crate::Metadata::default() {
                put("metadata", serde_json::to_string(&own)?);
            }
        }
        serde_json::value::to_raw_value(&Outgoing {
            specversion: SPEC_VERSION,
            attributes,
            data: self.payload.raw(),
        })
    }
}

/// Whether a document is a CloudEvent and not an envelope.
#[must_use]
pub fn is_cloudevent(document: &Value) -> bool {
    document.get("specversion").is_some()
}

/// Converts a CloudEvent to the envelope that [`crate::Registry::ingest`] takes. If the event carries no version, it
/// gets the only version that `contracts` have of its type; with several versions it is an error.
///
/// # Errors
/// [`Invalid`] with every violation of the CloudEvents format. The data is not yet checked against its contract.
pub fn from_cloudevent(json: &str, contracts: &[ContractInfo]) -> Result<String, Invalid> {
    let at = |pointer: &str, message: &str| Violation::new(pointer, message);
    let incoming: Incoming<'_> = serde_json::from_str(json)
        .map_err(|error| Invalid(at("", &crate::strict::reason(&error)).into()))?;
    let mut attributes = Attributes::read(incoming.attributes);
    let mut envelope = BTreeMap::new();
    let mut foreign = BTreeMap::new();
    match attributes.take("specversion").as_deref() {
        Some(SPEC_VERSION) => {}
        _ => attributes.wrong("specversion", "must be 1.0"),
    }
    let content = attributes.take("datacontenttype");
    if content.as_deref().is_some_and(|content| !is_json(content)) {
        attributes.wrong("datacontenttype", "must be application/json");
    }
    let data = match incoming.data {
        Some(data) if data.get().starts_with('{') => data.get(),
        _ => {
            attributes.wrong("data", "must be an object: the payload");
            "{}"
        }
    };
    let (source, id) = (attributes.require("source"), attributes.require("id"));
    let event_type = attributes.require("type");
    if let Some((source, id)) = source.as_ref().zip(id.as_ref())
        && id.parse::<crate::EventId>().is_err()
    {
        envelope.insert("event_id", identity(&[source, id]).to_string());
        foreign.insert(format!("{FOREIGN}id"), id.clone());
    } else if let Some(id) = id {
        envelope.insert("event_id", id);
    }
    if let Some(time) = attributes.take("time") {
        match Timestamp::read(&time) {
            Ok(moment) => {
                envelope.insert("occurred_at", moment.to_string());
            }
            Err(error) => attributes.wrong("time", &error.to_string()),
        }
    }
    let schema = attributes.take("dataschema");
    let version = attributes.take("eventversion");
    if let Some(event_type) = &event_type {
        let of_type = || contracts.iter().filter(|one| one.event_type == event_type);
        let named = of_type().find(|one| Some(one.schema_id()) == schema);
        let version = match (version, named) {
            (Some(version), _) => Some(version),
            (None, Some(contract)) => Some(format!("v{}", contract.version)),
            (None, None) if of_type().count() == 1 => {
                of_type().next().map(|one| format!("v{}", one.version))
            }
            // Validation against the contracts reports an unknown type later.
            (None, None) if of_type().count() == 0 => Some("v1".to_owned()),
            (None, None) => None,
        };
        match version {
            Some(version) => {
                envelope.insert("event_version", version);
            }
            None => attributes.wrong("eventversion", "is required: the type has several versions"),
        }
        if let Some(schema) = schema.filter(|_| named.is_none()) {
            foreign.insert(format!("{FOREIGN}dataschema"), schema);
        }
    }
    let source = source.map(|source| {
        let name = producer_of(&source);
        if name != source {
            foreign.insert(format!("{FOREIGN}source"), source);
        }
        name
    });
    for (name, value) in [("producer", source), ("event_type", event_type)] {
        if let Some(value) = value {
            envelope.insert(name, value);
        }
    }
    if let Some(trace) = attributes.take("traceparent") {
        envelope.insert("trace_id", trace);
    }
    for name in PLAIN {
        if let Some(value) = attributes.take(&attribute(name)) {
            envelope.insert(name, value);
        }
    }
    let subject = attributes.take("subject").filter(|subject| {
        let part = |name| envelope.get(name).map_or("", String::as_str);
        *subject != format!("{}/{}", part("aggregate_type"), part("aggregate_id"))
    });
    if let Some(subject) = subject {
        foreign.insert(format!("{FOREIGN}subject"), subject);
    }
    // Dropped: the commit assigns a new sequence, whoever numbered the event before.
    attributes.take("sequence");
    let mut metadata: BTreeMap<String, Value> = match attributes.take("metadata") {
        None => BTreeMap::new(),
        Some(text) => serde_json::from_str(&text).unwrap_or_else(|_| {
            attributes.wrong("metadata", "must be a JSON object as text");
            BTreeMap::new()
        }),
    };
    let (rest, wrong) = (attributes.values, attributes.wrong);
    if !wrong.is_empty() {
        return Err(Invalid(wrong));
    }
    let rest = rest
        .into_iter()
        .map(|(name, value)| (format!("{FOREIGN}{name}"), value));
    let foreign = foreign.into_iter().chain(rest);
    metadata.extend(foreign.map(|(name, value)| (name, Value::String(value))));
    let mut text = serde_json::to_string(&envelope).unwrap_or_default();
    text.pop();
    if !metadata.is_empty() {
        let metadata = serde_json::to_string(&metadata).unwrap_or_default();
        text.push_str(&format!(",\"metadata\":{metadata}"));
    }
    text.push_str(&format!(",\"payload\":{data}}}"));
    Ok(text)
}

/// Translates a JSON pointer into the envelope to the pointer into the CloudEvent.
#[must_use]
pub fn pointer(of_envelope: &str) -> String {
    let (field, rest) = match of_envelope.strip_prefix('/') {
        Some(path) => path.split_at(path.find('/').unwrap_or(path.len())),
        None => return of_envelope.to_owned(),
    };
    let name = match field {
        "event_id" => "id",
        "event_type" => "type",
        "occurred_at" => "time",
        "producer" => "source",
        "payload" => "data",
        "trace_id" => "traceparent",
        other => &attribute(other),
    };
    format!("/{name}{rest}")
}

/// The attributes of a CloudEvent that are not yet read, and the violations found so far.
struct Attributes {
    values: BTreeMap<String, String>,
    wrong: Violations,
}

impl Attributes {
    fn read(given: BTreeMap<String, Value>) -> Self {
        let mut read = Self {
            values: BTreeMap::new(),
            wrong: Violations::default(),
        };
        for (name, value) in given {
            let text = match value {
                Value::Null => continue,
                Value::String(text) => text,
                Value::Number(number) if number.is_i64() => number.to_string(),
                Value::Bool(value) => value.to_string(),
                _ => {
                    read.wrong(&name, "must be text, a whole number, or true or false");
                    continue;
                }
            };
            if name == "data_base64" {
                read.wrong(&name, "is not supported: send the payload as JSON in data");
            } else if !is_name(&name) {
                read.wrong(
                    &name,
                    "is not a valid attribute name: use lower-case letters and digits",
                );
            } else {
                read.values.insert(name, text);
            }
        }
        read
    }

    fn wrong(&mut self, name: &str, message: &str) {
        let pointer = format!("/{}", escape(name));
        self.wrong.push(Violation::new(pointer, message));
    }

    fn take(&mut self, name: &str) -> Option<String> {
        self.values.remove(name)
    }

    fn require(&mut self, name: &str) -> Option<String> {
        let value = self.take(name).filter(|text| !text.is_empty());
        if value.is_none() {
            self.wrong(name, "is required");
        }
        value
    }
}

fn is_name(text: &str) -> bool {
    let of_name = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    !text.is_empty() && text.bytes().all(of_name)
}

fn attribute(field: &str) -> String {
    field.replace('_', "")
}

/// A producer name made from a source: the URI without its scheme, with '-' for characters that a name must not have.
fn producer_of(source: &str) -> String {
    let rest = source.split_once("://").map_or(source, |(_, rest)| rest);
    let of_name = |c: char| c.is_ascii_alphanumeric() || "._/-".contains(c);
    let name = rest.chars().map(|c| if of_name(c) { c } else { '-' });
    let name = name.skip_while(|c| !c.is_ascii_alphanumeric());
    name.take(PRODUCER_AT_MOST).collect()
}

fn is_json(content: &str) -> bool {
    let media = content.split(';').next().unwrap_or_default().trim();
    media.eq_ignore_ascii_case("application/json") || media.to_ascii_lowercase().ends_with("+json")
}

/// An id made from the parts that identify a thing. The same parts give the same id, so that a repeat is recognised. It
/// has the form of a random UUID, as the envelope requires.
#[must_use]
pub fn identity(parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_random_bytes(bytes).into_uuid()
}
