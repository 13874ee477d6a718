//! The catalogue of contracts: validates, lists, tells versions and statistics.

use std::sync::OnceLock;

use jsonschema::Validator;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AggregateField, AggregateId, AggregateType, Contract, ContractInfo, CorrelationId, Draft, Envelope, EventId, EventType,
    EventVersion, IdempotencyKey, Metadata, Payload, Priority, Producer, Sequence, Text, Timestamp, TraceParent, Violation,
    contracts, schema_of, validator_for, violations_of,
};

/// The closed list of domains, the part of an event's type before the dot.
pub const DOMAINS: &[&str] = &["alert", "cloud", "member", "treasury"];

/// A document that breaks the envelope or its contract: every violation, with its pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid event: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Invalid(pub Vec<Violation>);

/// A contract in a registry.
pub struct Entry {
    info: ContractInfo,
    schema: fn() -> Value,
    decode: fn(&str) -> Result<(), String>,
    validator: OnceLock<Result<Validator, String>>,
}

impl std::fmt::Debug for Entry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.fmt(f)
    }
}

impl Entry {
    /// The entry of a contract.
    #[must_use]
    pub const fn of<C: Contract>() -> Self {
        Self {
            info: ContractInfo::of::<C>(),
            schema: contract_schema::<C>,
            decode: |json| serde_json::from_str::<C>(json).map(drop).map_err(|error| error.to_string()),
            validator: OnceLock::new(),
        }
    }

    /// What the contract declares.
    #[must_use]
    pub const fn info(&self) -> &ContractInfo {
        &self.info
    }

    /// The JSON Schema (2020-12) of its payload.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Whether the contract's type reads this payload: what consumers do first.
    ///
    /// # Errors
    /// The decoder's own words.
    pub fn decodes(&self, payload_json: &str) -> Result<(), String> {
        (self.decode)(payload_json)
    }

    /// Every violation of the payload's schema, pointers behind `prefix`; none when it holds.
    #[must_use]
    pub fn violations(&self, payload: &Value, prefix: &str) -> Vec<Violation> {
        match self.validator.get_or_init(|| validator_for(&self.schema())) {
            Ok(validator) => violations_of(validator, payload, prefix),
            Err(fault) => vec![Violation::new(prefix, format!("the contract's schema is broken: {fault}"))],
        }
    }
}

fn contract_schema<C: Contract>() -> Value {
    let mut schema = schema_of::<C>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), schema_id(C::TYPE, C::VERSION).into());
        object.insert("title".into(), format!("{} v{}", C::TYPE, C::VERSION).into());
    }
    schema
}

fn schema_id(event_type: &str, version: u16) -> String {
    let (domain, action) = event_type.split_once('.').unwrap_or((event_type, ""));
    format!("urn:millrace:{domain}:{}:v{version}", action.replace('_', "-"))
}

/// How many contracts there are, and of what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Contracts: types × versions.
    pub contracts: usize,
    /// Event types.
    pub event_types: usize,
    /// Domains with at least one contract.
    pub domains: usize,
}

/// The contracts an application knows.
#[derive(Debug)]
pub struct Registry {
    entries: Vec<Entry>,
    infos: Vec<ContractInfo>,
    envelope: OnceLock<Result<Validator, String>>,
}

impl Registry {
    /// A registry of your own contracts, sorted by type and version.
    #[must_use]
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| (entry.info.event_type, entry.info.version));
        let infos = entries.iter().map(|entry| entry.info).collect();
        Self { entries, infos, envelope: OnceLock::new() }
    }

    /// The contracts that ship with Millrace: the one list to add a contract to.
    #[must_use]
    pub fn shipped() -> Self {
        Self::new(contracts::all())
    }

    /// Every contract's declaration, sorted by type and version.
    #[must_use]
    pub fn contracts(&self) -> &[ContractInfo] {
        &self.infos
    }

    /// Every entry, sorted by type and version.
    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The contract of a type and version.
    #[must_use]
    pub fn get(&self, event_type: &str, version: u16) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.info.event_type == event_type && entry.info.version == version)
    }

    /// The contracts of a type, oldest first.
    pub fn list<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries.iter().filter(move |entry| entry.info.event_type == event_type)
    }

    /// The newest version of a type.
    #[must_use]
    pub fn latest(&self, event_type: &str) -> Option<u16> {
        self.list(event_type).map(|entry| entry.info.version).max()
    }

    /// How many contracts there are.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let types: std::collections::BTreeSet<&str> = self.infos.iter().map(|info| info.event_type).collect();
        let domains: std::collections::BTreeSet<&str> =
            types.iter().filter_map(|name| name.split_once('.').map(|(domain, _)| domain)).collect();
        Statistics { contracts: self.entries.len(), event_types: types.len(), domains: domains.len() }
    }

    /// The envelope's schema as ingest takes it: aggregate, sequence and correlation may be absent, they are filled in.
    #[must_use]
    pub fn envelope_schema() -> Value {
        let mut schema = schema_of::<Incoming>();
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".into(), "urn:millrace:common:envelope:v1".into());
            object.insert("title".into(), "common.envelope v1".into());
        }
        schema
    }

    /// All violations of an envelope and of its payload's contract at once; none when it holds.
    #[must_use]
    pub fn validate(&self, document: &Value) -> Vec<Violation> {
        let mut found = match self.envelope.get_or_init(|| validator_for(&Self::envelope_schema())) {
            Ok(validator) => violations_of(validator, document, ""),
            Err(fault) => vec![Violation::new("", format!("the envelope's schema is broken: {fault}"))],
        };
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        if let (Some(event_type), Some(Ok(version))) =
            (text("event_type"), text("event_version").map(str::parse::<EventVersion>))
        {
            match (self.get(event_type, version.number()), self.latest(event_type)) {
                (Some(entry), _) => {
                    if let Some(payload) = document.get("payload").filter(|payload| payload.is_object()) {
                        found.extend(entry.violations(payload, "/payload"));
                    }
                }
                (None, Some(latest)) => {
                    found.push(Violation::new("/event_version", format!("unknown version; the latest is v{latest}")));
                }
                (None, None) => found.push(Violation::new("/event_type", "unknown event type")),
            }
        }
        found.sort();
        found
    }

    /// Checks what a producer is about to write: the contract exists and the payload holds.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn validate_draft(&self, draft: &Draft) -> Result<(), Invalid> {
        let Some(entry) = self.get(draft.event_type.as_str(), draft.event_version.number()) else {
            return Err(Invalid(vec![Violation::new("/event_type", format!("no contract {}", draft.event_type))]));
        };
        let payload: Value = serde_json::from_str(draft.payload.json())
            .map_err(|error| Invalid(vec![Violation::new("/payload", error.to_string())]))?;
        let found = entry.violations(&payload, "/payload");
        if found.is_empty() { Ok(()) } else { Err(Invalid(found)) }
    }

    /// Takes an event from outside: checks everything at once and fills in what may be absent. The sequence is given at
    /// commit, whatever the producer wrote.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn ingest(&self, json: &str) -> Result<Draft, Invalid> {
        let document: Value = serde_json::from_str(json)
            .map_err(|error| Invalid(vec![Violation::new("", format!("not JSON: {error}"))]))?;
        let found = self.validate(&document);
        if !found.is_empty() {
            return Err(Invalid(found));
        }
        let incoming: Incoming =
            serde_json::from_str(json).map_err(|error| Invalid(vec![Violation::new("", error.to_string())]))?;
        let info = self
            .get(incoming.event_type.as_str(), incoming.event_version.number())
            .map(|entry| entry.info)
            .ok_or_else(|| Invalid(vec![Violation::new("/event_type", "unknown event type")]))?;
        let at = |pointer: &str, error: &dyn std::fmt::Display| Invalid(vec![Violation::new(pointer, error.to_string())]);
        let aggregate_type = match incoming.aggregate_type {
            Some(given) if given.as_str() != info.aggregate_type => {
                return Err(at("/aggregate_type", &format!("the contract says {}", info.aggregate_type)));
            }
            Some(given) => given,
            None => AggregateType::new(info.aggregate_type).map_err(|error| at("/aggregate_type", &error))?,
        };
        let expected = aggregate_id_of(&info, &document["payload"])
            .ok_or_else(|| at("/aggregate_id", &"the payload does not name it"))?;
        let expected = AggregateId::new(expected).map_err(|error| at("/aggregate_id", &error))?;
        let aggregate_id = match incoming.aggregate_id {
            Some(given) if given != expected => {
                return Err(at("/aggregate_id", &"differs from the id in the payload"));
            }
            _ => expected,
        };
        Ok(Draft {
            correlation_id: Some(incoming.correlation_id.unwrap_or_else(|| incoming.event_id.into())),
            event_id: Some(incoming.event_id),
            event_type: incoming.event_type,
            event_version: incoming.event_version,
            occurred_at: Some(incoming.occurred_at),
            producer: incoming.producer,
            producer_version: incoming.producer_version,
            producer_instance: incoming.producer_instance,
            causation_id: incoming.causation_id,
            parent_event_id: incoming.parent_event_id,
            trace_id: incoming.trace_id,
            priority: incoming.priority.unwrap_or(info.priority),
            aggregate_type,
            aggregate_id,
            idempotency_key: incoming.idempotency_key,
            payload: incoming.payload,
            metadata: incoming.metadata,
        })
    }

    /// Reads a stored envelope: what stands on the bus and in the lanes, where nothing may be absent.
    ///
    /// # Errors
    /// [`Invalid`] with every violation of the envelope; the payload is the decoder's business.
    pub fn read(json: &str) -> Result<Envelope, Invalid> {
        serde_json::from_str(json).map_err(|error| explain_envelope(json, &error))
    }
}

#[cold]
fn explain_envelope(json: &str, error: &serde_json::Error) -> Invalid {
    let Ok(document) = serde_json::from_str::<Value>(json) else {
        return Invalid(vec![Violation::new("", format!("not JSON: {error}"))]);
    };
    let mut found =
        validator_for(&schema_of::<Envelope>()).map(|one| violations_of(&one, &document, "")).unwrap_or_default();
    if found.is_empty() {
        found.push(Violation::new("", error.to_string()));
    }
    Invalid(found)
}

fn aggregate_id_of(info: &ContractInfo, payload: &Value) -> Option<String> {
    let field = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
    match info.aggregate_field {
        AggregateField::Field(name) => field(name),
        AggregateField::FieldOr(name, otherwise) => field(name).or_else(|| Some(otherwise.to_owned())),
        AggregateField::Fixed(id) => Some(id.to_owned()),
    }
}

/// The envelope as ingest takes it.
#[derive(Debug, Deserialize, JsonSchema)]
struct Incoming {
    event_id: EventId,
    event_type: EventType,
    event_version: EventVersion,
    occurred_at: Timestamp,
    producer: Producer,
    producer_version: Option<Text<64>>,
    producer_instance: Option<Text<256>>,
    /// The event's own id where a chain starts.
    correlation_id: Option<CorrelationId>,
    causation_id: Option<EventId>,
    parent_event_id: Option<EventId>,
    trace_id: Option<TraceParent>,
    #[expect(dead_code, reason = "checked on ingest, written anew at commit")]
    routing_key: Option<Text<160>>,
    /// The contract's where absent.
    priority: Option<Priority>,
    /// The contract's where absent.
    aggregate_type: Option<AggregateType>,
    /// Taken from the payload field the contract names where absent.
    aggregate_id: Option<AggregateId>,
    #[expect(dead_code, reason = "checked on ingest, given at commit")]
    sequence: Option<Sequence>,
    idempotency_key: Option<IdempotencyKey>,
    payload: Payload,
    metadata: Option<Metadata>,
}
