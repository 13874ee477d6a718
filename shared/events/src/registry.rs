//! The catalogue of contracts: validates, lists, tells versions and statistics.

use std::{
    borrow::Cow,
    sync::{LazyLock, OnceLock},
};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{
    AggregateId, AggregateType, Contract, ContractInfo, CorrelationId, Draft, Envelope, EventId,
    EventType, EventVersion, IdempotencyKey, Metadata, Payload, Priority, Producer,
    SchemaValidator, Sequence, Text, Timestamp, TraceParent, Violation, contracts,
    schema::validator_of, schema_of, strict, validator_for,
};

/// How many known types an unknown one is answered with.
const NEAREST: usize = 3;

/// How alike two names are that one is taken for a slip of the other, 0 to 1.
const LIKE_ENOUGH: f64 = 0.85;

/// A document that breaks the envelope or its contract: every violation, with its pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid event: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
pub struct Invalid(pub Vec<Violation>);

/// A contract in a registry.
pub struct Entry {
    info: ContractInfo,
    schema: fn() -> Value,
    check: fn(&str) -> Result<(), String>,
    read: fn(&str) -> Result<ReadBack, String>,
    validator: OnceLock<Result<SchemaValidator, String>>,
}

/// What a contract's type makes of a payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The id of the thing it is about, as the type says.
    pub aggregate_id: AggregateId,
    /// The payload as the type writes it.
    pub json: String,
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
            check: check::<C>,
            read: read_back::<C>,
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
    /// Why not, without repeating a value.
    pub fn decodes(&self, payload_json: &str) -> Result<(), String> {
        (self.check)(payload_json)
    }

    /// Reads a payload with the contract's type and writes it again: what the samples are compared by.
    ///
    /// # Errors
    /// Why it was not read, without repeating a value.
    pub fn read_back(&self, payload_json: &str) -> Result<ReadBack, String> {
        (self.read)(payload_json)
    }

    /// Every violation of the payload's schema, pointers behind `prefix`; none when it holds.
    #[must_use]
    pub fn violations(&self, payload: &Value, prefix: &str) -> Vec<Violation> {
        match self.validator.get_or_init(|| validator_for(&self.schema())) {
            Ok(validator) => validator.violations(payload, prefix),
            Err(fault) => vec![Violation::new(
                prefix,
                format!("the contract's schema is broken: {fault}"),
            )],
        }
    }

    fn faults(&self, domains: &[&str]) -> Vec<String> {
        let info = &self.info;
        let name = format!("{} v{}", info.event_type, info.version);
        let mut faults = Vec::new();
        let mut fault = |what: String| faults.push(format!("{name}: {what}"));
        match EventType::new(info.event_type) {
            Err(error) => fault(error.to_string()),
            Ok(event_type) if !domains.contains(&event_type.domain()) => {
                fault(format!(
                    "the domain {} is not in the list",
                    event_type.domain()
                ));
            }
            Ok(_) => {}
        }
        if let Err(error) = EventVersion::new(info.version) {
            fault(error.to_string());
        }
        if let Err(error) = Producer::new(info.producer) {
            fault(error.to_string());
        }
        if let Err(error) = AggregateType::new(info.aggregate_type) {
            fault(error.to_string());
        }
        let schema = self.schema();
        if let Err(error) = validator_for(&schema) {
            fault(format!("its schema is broken: {error}"));
        }
        let required = |field: &str| {
            schema["required"]
                .as_array()
                .is_some_and(|all| all.iter().any(|one| one == field))
        };
        let named = info.aggregate_field;
        for field in [named.kind_field(), named.payload_field()]
            .into_iter()
            .flatten()
        {
            if schema["properties"].get(field).is_none() {
                fault(format!(
                    "its aggregate's field {field} is not in the payload"
                ));
            } else if required(field) != info.aggregate_field.otherwise().is_none() {
                fault(format!(
                    "its aggregate's field {field} must be required if and only if nothing stands for it when absent"
                ));
            }
        }
        if let Some(otherwise) = info.aggregate_field.otherwise()
            && let Err(error) = AggregateId::new(otherwise)
        {
            fault(error.to_string());
        }
        faults
    }

    fn check_decodes(&self, payload_json: &str) -> Result<(), Invalid> {
        self.decodes(payload_json)
            .map_err(|reason| Invalid(vec![Violation::new("/payload", reason)]))
    }
}

fn check<C: Contract>(json: &str) -> Result<(), String> {
    let read: Result<C, _> = strict::from_str(json);
    read.map(drop).map_err(|error| strict::reason(&error))
}

fn read_back<C: Contract>(json: &str) -> Result<ReadBack, String> {
    let payload: C = strict::from_str(json).map_err(|error| strict::reason(&error))?;
    Ok(ReadBack {
        aggregate_id: payload.aggregate_id(),
        json: serde_json::to_string(&payload).map_err(|error| error.to_string())?,
    })
}

fn contract_schema<C: Contract>() -> Value {
    let mut schema = schema_of::<C>();
    let info = ContractInfo::of::<C>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("$id".into(), info.schema_id().into());
        object.insert(
            "title".into(),
            format!("{} v{}", C::TYPE, C::VERSION).into(),
        );
        // The key of the event log: as much a part of the contract as any field.
        object.insert("x-aggregate".into(), info.aggregate_pattern().into());
    }
    schema
}

/// What an event that came from outside gets where it does not say it itself.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// Its id; absent: the event must bring one.
    pub event_id: Option<EventId>,
    /// When it happened.
    pub now: Timestamp,
}

impl Arrival {
    /// The document with what it lacks. What it brings stays as it is, byte for byte.
    fn fill_in<'a>(&self, json: &'a str) -> Result<(Cow<'a, str>, Value), serde_json::Error> {
        let mut document: Value = serde_json::from_str(json)?;
        let Some(fields) = document.as_object_mut() else {
            return Ok((json.into(), document));
        };
        let own = [
            ("event_id", self.event_id.map(|id| id.to_string())),
            ("occurred_at", Some(self.now.to_string())),
        ];
        let mut missing = String::new();
        for (name, value) in own {
            if let Some(value) = value.filter(|_| !fields.contains_key(name)) {
                let comma = if fields.is_empty() { "" } else { "," };
                missing.insert_str(0, &format!("\"{name}\":\"{value}\"{comma}"));
                fields.insert(name.to_owned(), value.into());
            }
        }
        let filled = json.replacen('{', &format!("{{{missing}"), 1);
        Ok((filled.into(), document))
    }
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
    envelope: OnceLock<Result<SchemaValidator, String>>,
}

impl Registry {
    /// A registry of your own contracts, sorted by type and version.
    #[must_use]
    pub fn new(mut entries: Vec<Entry>) -> Self {
        entries.sort_by_key(|entry| (entry.info.event_type, entry.info.version));
        let infos = entries.iter().map(|entry| entry.info).collect();
        Self {
            entries,
            infos,
            envelope: OnceLock::new(),
        }
    }

    /// The contracts that ship with Millrace: the one list to add a contract to.
    #[must_use]
    pub fn shipped() -> Self {
        Self::new(contracts::all())
    }

    /// The declarations of those contracts, sorted by type and version; made once.
    #[must_use]
    pub fn shipped_contracts() -> &'static [ContractInfo] {
        static SHIPPED: LazyLock<Vec<ContractInfo>> = LazyLock::new(|| Registry::shipped().infos);
        &SHIPPED
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
        self.entries
            .iter()
            .find(|entry| entry.info.event_type == event_type && entry.info.version == version)
    }

    /// The contracts of a type, oldest first.
    pub fn list<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a Entry> {
        self.entries
            .iter()
            .filter(move |entry| entry.info.event_type == event_type)
    }

    /// The newest version of a type.
    #[must_use]
    pub fn latest(&self, event_type: &str) -> Option<u16> {
        self.list(event_type).map(|entry| entry.info.version).max()
    }

    /// What is said of a type that has no contract: which ones it may have meant.
    #[must_use]
    pub fn unknown_type(&self, event_type: &str) -> String {
        let mut near: Vec<(f64, &str)> = self
            .infos
            .iter()
            .map(|info| {
                (
                    strsim::jaro_winkler(info.event_type, event_type),
                    info.event_type,
                )
            })
            .filter(|(likeness, _)| *likeness >= LIKE_ENOUGH)
            .collect();
        near.sort_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(other.1)));
        near.dedup_by_key(|(_, name)| *name);
        let names: Vec<&str> = near.iter().map(|(_, name)| *name).take(NEAREST).collect();
        if names.is_empty() {
            "is not a known event type".to_owned()
        } else {
            format!(
                "is not a known event type; the nearest are: {}",
                names.join(", ")
            )
        }
    }

    /// How many contracts there are.
    #[must_use]
    pub fn statistics(&self) -> Statistics {
        let types: std::collections::BTreeSet<&str> =
            self.infos.iter().map(|info| info.event_type).collect();
        let domains: std::collections::BTreeSet<&str> = types
            .iter()
            .filter_map(|name| name.split_once('.').map(|(domain, _)| domain))
            .collect();
        Statistics {
            contracts: self.entries.len(),
            event_types: types.len(),
            domains: domains.len(),
        }
    }

    /// What is wrong with the declarations themselves, in words; none when all is well. Shapes and duplicates cannot be
    /// checked when a registry is made without making every start of a function fallible: a test asks for them, yours
    /// too if you keep contracts of your own.
    #[must_use]
    pub fn faults(&self, domains: &[&str]) -> Vec<String> {
        let mut faults: Vec<String> = self
            .entries
            .iter()
            .flat_map(|entry| entry.faults(domains))
            .collect();
        for pair in self.infos.windows(2) {
            if let [one, next] = pair
                && (one.event_type, one.version) == (next.event_type, next.version)
            {
                faults.push(format!("{} v{} stands twice", one.event_type, one.version));
            }
        }
        faults
    }

    /// The envelope's schema: aggregate, sequence and correlation may be absent, they are filled in. Ingest fills in id and time,
    /// too, before it looks.
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
        let mut found = match self
            .envelope
            .get_or_init(|| validator_for(&Self::envelope_schema()))
        {
            Ok(validator) => validator.violations(document, ""),
            Err(fault) => vec![Violation::new(
                "",
                format!("the envelope's schema is broken: {fault}"),
            )],
        };
        found.extend(self.contract_violations(document, &found));
        found.sort();
        found
    }

    // What the envelope's schema cannot know: the contract of the type and version, and what follows from it.
    fn contract_violations(&self, document: &Value, so_far: &[Violation]) -> Vec<Violation> {
        let shaped = |pointer: &str| so_far.iter().all(|one| one.pointer != pointer);
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        let Some(event_type) = text("event_type").filter(|_| shaped("/event_type")) else {
            return Vec::new();
        };
        let Some(latest) = self.latest(event_type) else {
            return vec![Violation::new("/event_type", self.unknown_type(event_type))];
        };
        let Some(Ok(version)) = text("event_version").map(str::parse::<EventVersion>) else {
            return Vec::new();
        };
        let Some(entry) = self.get(event_type, version.number()) else {
            let message =
                format!("is not a known version of the event type; the latest is v{latest}");
            return vec![Violation::new("/event_version", message)];
        };
        let Some(payload) = document
            .get("payload")
            .filter(|payload| payload.is_object())
        else {
            return Vec::new();
        };
        let mut found = entry.violations(payload, "/payload");
        let info = &entry.info;
        if text("aggregate_type").is_some_and(|given| given != info.aggregate_type) {
            let message = format!("must be {}, as the contract says", info.aggregate_type);
            found.push(Violation::new("/aggregate_type", message));
        }
        // Without a readable id in the payload its own violation has been told.
        if let Some(expected) = info.aggregate_id_in(payload) {
            if AggregateId::new(expected.as_str()).is_err() {
                let field = info.aggregate_field.payload_field().unwrap_or_default();
                let message = "cannot be an aggregate's id: it must be 1 to 256 characters without '#' or control characters";
                found.push(Violation::new(format!("/payload/{field}"), message));
            } else if text("aggregate_id").is_some_and(|given| given != expected) {
                found.push(Violation::new(
                    "/aggregate_id",
                    "must be the id in the payload",
                ));
            }
        }
        found
    }

    /// Checks what a producer is about to write: the contract exists and the payload holds.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn validate_draft(&self, draft: &Draft) -> Result<(), Invalid> {
        let Some(entry) = self.get(draft.event_type.as_str(), draft.event_version.number()) else {
            return Err(Invalid(vec![Violation::new(
                "/event_type",
                format!("no contract {} {}", draft.event_type, draft.event_version),
            )]));
        };
        let payload: Value = serde_json::from_str(draft.payload.json())
            .map_err(|error| Invalid(vec![Violation::new("/payload", strict::reason(&error))]))?;
        let found = entry.violations(&payload, "/payload");
        if !found.is_empty() {
            return Err(Invalid(found));
        }
        entry.check_decodes(draft.payload.json())
    }

    /// Takes an event from outside: checks everything at once and fills in what may be absent: its id and its time. Its
    /// chain and its sequence are given at commit, the sequence whatever the producer wrote.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn ingest(&self, json: &str, arrival: &Arrival) -> Result<Draft, Invalid> {
        let at = |pointer: &str, message: String| Invalid(vec![Violation::new(pointer, message)]);
        let filled = arrival.fill_in(json);
        let (json, document) = filled.map_err(|error| at("", strict::reason(&error)))?;
        let (json, found) = (json.as_ref(), self.validate(&document));
        if !found.is_empty() {
            return Err(Invalid(found));
        }
        let incoming: Incoming =
            strict::from_str(json).map_err(|error| at("", strict::reason(&error)))?;
        let entry = self
            .get(
                incoming.event_type.as_str(),
                incoming.event_version.number(),
            )
            .ok_or_else(|| at("/event_type", "is not a known event type".to_owned()))?;
        // A field given twice is what a schema cannot see.
        entry.check_decodes(incoming.payload.json())?;
        let info = entry.info;
        let aggregate_type = AggregateType::new(info.aggregate_type)
            .map_err(|error| at("/aggregate_type", error.to_string()))?;
        let aggregate_id = info
            .aggregate_id_in(&document["payload"])
            .ok_or_else(|| at("/aggregate_id", "is not named by the payload".to_owned()))
            .and_then(|id| {
                AggregateId::new(id).map_err(|error| at("/aggregate_id", error.to_string()))
            })?;
        Ok(Draft {
            correlation_id: incoming.correlation_id,
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

    /// The fields that an envelope has not. Consumers ignore them, for a newer producer may send what they do not know; from outside
    /// one is a slip, and what it was meant to say would be lost without a word.
    #[must_use]
    pub fn unknown_fields(document: &Value) -> Vec<Violation> {
        // Rendered once: every event from outside is asked for this.
        static SCHEMA: LazyLock<Value> = LazyLock::new(Registry::envelope_schema);
        let fields = document.as_object().into_iter().flatten();
        let unknown = fields.filter(|(name, _)| SCHEMA["properties"].get(name).is_none());
        unknown
            .map(|(name, _)| {
                let pointer = format!("/{}", name.replace('~', "~0").replace('/', "~1"));
                Violation::new(pointer, "is not a field of the envelope")
            })
            .collect()
    }

    /// Reads a stored envelope: what stands on the bus and in the lanes, where nothing may be absent.
    ///
    /// # Errors
    /// [`Invalid`] with every violation of the envelope; the payload is the decoder's business.
    pub fn read(json: &str) -> Result<Envelope, Invalid> {
        strict::from_str(json).map_err(|error| explain_envelope(json, &error))
    }
}

#[cold]
fn explain_envelope(json: &str, error: &serde_json::Error) -> Invalid {
    let mut found = match (
        serde_json::from_str::<Value>(json),
        &*validator_of::<Envelope>(),
    ) {
        (Ok(document), Ok(validator)) => validator.violations(&document, ""),
        _ => Vec::new(),
    };
    if found.is_empty() {
        found.push(Violation::new("", strict::reason(error)));
    }
    Invalid(found)
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
    #[expect(dead_code, reason = "checked on ingest, taken from the contract")]
    aggregate_type: Option<AggregateType>,
    /// Taken from the payload field the contract names where absent.
    #[expect(dead_code, reason = "checked on ingest, taken from the payload")]
    aggregate_id: Option<AggregateId>,
    #[expect(dead_code, reason = "checked on ingest, given at commit")]
    sequence: Option<Sequence>,
    idempotency_key: Option<IdempotencyKey>,
    payload: Payload,
    metadata: Option<Metadata>,
}
