//! The registry of contracts: it validates events, lists contracts and their versions, and counts them.

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
    SchemaValidator, Sequence, Text, Timestamp, TraceParent, Violation, Violations, contracts,
    nearest::all_nearest, schema::validator_of, schema_of, strict, text::undeliverable,
    validator_for, violation::escape,
};

/// A document that breaks the envelope's schema or its contract, with every violation and its pointer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid event: {0}")]
pub struct Invalid(pub Violations);

/// A contract in a registry.
pub struct RegisteredContract {
    info: ContractInfo,
    schema: fn() -> Value,
    check: fn(&str) -> Result<(), String>,
    read: fn(&str) -> Result<ReadBack, String>,
    validator: OnceLock<Result<SchemaValidator, String>>,
}

/// The result of reading a payload with its contract's type and writing it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadBack {
    /// The aggregate's id, as the type computes it.
    pub aggregate_id: AggregateId,
    /// The payload, as the type serialises it.
    pub json: String,
}

impl std::fmt::Debug for RegisteredContract {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.info.fmt(f)
    }
}

impl RegisteredContract {
    /// Registers a contract by its type.
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

    /// The contract's declaration.
    #[must_use]
    pub const fn info(&self) -> &ContractInfo {
        &self.info
    }

    /// The JSON Schema (2020-12) of the payload.
    #[must_use]
    pub fn schema(&self) -> Value {
        (self.schema)()
    }

    /// Checks that the contract's type can read this payload, as a consumer does first.
    ///
    /// # Errors
    /// The reason why it cannot. It never repeats a value.
    pub fn decodes(&self, payload_json: &str) -> Result<(), String> {
        (self.check)(payload_json)
    }

    /// Reads a payload with the contract's type and writes it again. The tests compare the samples with the result.
    ///
    /// # Errors
    /// The reason why it could not be read. It never repeats a value.
    pub fn read_back(&self, payload_json: &str) -> Result<ReadBack, String> {
        (self.read)(payload_json)
    }

    /// Every violation of the payload's schema, with `prefix` before each pointer. Empty if the payload is valid.
    #[must_use]
    pub fn violations(&self, payload: &Value, prefix: &str) -> Violations {
        match self.validator.get_or_init(|| validator_for(&self.schema())) {
            Ok(validator) => validator.violations(payload, prefix),
            Err(fault) => {
                Violation::new(prefix, format!("the contract's schema is broken: {fault}")).into()
            }
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
                    "its aggregate's field {field} must be optional if the declaration has an id for when it is absent, and required otherwise"
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
            .map_err(|reason| Invalid(Violation::new("/payload", reason).into()))
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
        // The aggregate is the event log's key, and so a part of the contract like any field.
        object.insert("x-aggregate".into(), info.aggregate_pattern().into());
    }
    schema
}

/// Values for the fields that an event from another system does not carry.
#[derive(Debug, Clone, Copy)]
pub struct Arrival {
    /// The event's id. If it is `None`, the event must carry an id.
    pub event_id: Option<EventId>,
    /// The time at which it happened.
    pub now: Timestamp,
}

impl Arrival {
    /// Adds the missing fields to the document. The fields that it has stay the same, byte for byte.
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

/// The number of contracts, event types and domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Statistics {
    /// Contracts: each version of a type counts.
    pub contracts: usize,
    /// Event types.
    pub event_types: usize,
    /// Domains with at least one contract.
    pub domains: usize,
}

/// The contracts that an application knows.
#[derive(Debug)]
pub struct Registry {
    registered: Vec<RegisteredContract>,
    infos: Vec<ContractInfo>,
    envelope: OnceLock<Result<SchemaValidator, String>>,
}

impl Registry {
    /// A registry of your own contracts, sorted by type and version.
    #[must_use]
    pub fn new(mut registered: Vec<RegisteredContract>) -> Self {
        registered.sort_by_key(|contract| (contract.info.event_type, contract.info.version));
        let infos = registered.iter().map(|contract| contract.info).collect();
        Self {
            registered,
            infos,
            envelope: OnceLock::new(),
        }
    }

    /// The contracts that ship with Millrace. To ship another contract, add it to this list.
    #[must_use]
    pub fn shipped() -> Self {
        Self::new(contracts::all())
    }

    /// The declarations of the shipped contracts, sorted by type and version. The list is made only once.
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

    /// Every registered contract, sorted by type and version.
    #[must_use]
    pub fn registered(&self) -> &[RegisteredContract] {
        &self.registered
    }

    /// The contract of a type and version.
    #[must_use]
    pub fn get(&self, event_type: &str, version: u16) -> Option<&RegisteredContract> {
        self.registered.iter().find(|contract| {
            contract.info.event_type == event_type && contract.info.version == version
        })
    }

    /// The contracts of a type, oldest first.
    pub fn list<'a>(&'a self, event_type: &'a str) -> impl Iterator<Item = &'a RegisteredContract> {
        self.registered
            .iter()
            .filter(move |contract| contract.info.event_type == event_type)
    }

    /// The newest version of a type.
    #[must_use]
    pub fn latest(&self, event_type: &str) -> Option<u16> {
        self.list(event_type)
            .map(|contract| contract.info.version)
            .max()
    }

    /// The message for a type that has no contract: it suggests the nearest known types.
    #[must_use]
    pub fn unknown_type(&self, event_type: &str) -> String {
        let names = all_nearest(event_type, self.infos.iter().map(|info| info.event_type));
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
            contracts: self.registered.len(),
            event_types: types.len(),
            domains: domains.len(),
        }
    }

    /// Describes every fault of the declarations; empty if there is none. [`Self::new`] does not check shapes and
    /// duplicates, because every function's start would then be fallible. A test checks them instead; write one, too,
    /// if you keep contracts of your own.
    #[must_use]
    pub fn faults(&self, domains: &[&str]) -> Vec<String> {
        let mut faults: Vec<String> = self
            .registered
            .iter()
            .flat_map(|contract| contract.faults(domains))
            .collect();
        for pair in self.infos.windows(2) {
            if let [one, next] = pair
                && (one.event_type, one.version) == (next.event_type, next.version)
            {
                faults.push(format!(
                    "{} v{} is registered twice",
                    one.event_type, one.version
                ));
            }
        }
        faults
    }

    /// The schema of an incoming envelope. Aggregate, sequence and correlation may be absent, because Millrace fills
    /// them in. Ingest also fills in id and time, before it validates.
    #[must_use]
    pub fn envelope_schema() -> Value {
        let mut schema = schema_of::<Incoming>();
        if let Some(object) = schema.as_object_mut() {
            object.insert("$id".into(), "urn:millrace:common:envelope:v1".into());
            object.insert("title".into(), "common.envelope v1".into());
        }
        schema
    }

    /// All violations of the envelope's schema and of the payload's contract. Empty if the document is valid.
    #[must_use]
    pub fn validate(&self, document: &Value) -> Violations {
        let mut found = match self
            .envelope
            .get_or_init(|| validator_for(&Self::envelope_schema()))
        {
            Ok(validator) => validator.violations(document, ""),
            Err(fault) => {
                Violation::new("", format!("the envelope's schema is broken: {fault}")).into()
            }
        };
        found.append(self.contract_violations(document, &found));
        // The typed texts are in the schemas; this finds the free ones, such as the keys and values of the metadata.
        for one in undeliverable(document) {
            if found.iter().all(|known| known.pointer != one.pointer) {
                found.push(one);
            }
        }
        found.sort();
        found
    }

    // Checks what the envelope's schema cannot express: the contract of the type and version, and what follows from it.
    fn contract_violations(&self, document: &Value, so_far: &[Violation]) -> Violations {
        let shaped = |pointer: &str| so_far.iter().all(|one| one.pointer != pointer);
        let text = |field: &str| document.get(field).and_then(Value::as_str);
        let Some(event_type) = text("event_type").filter(|_| shaped("/event_type")) else {
            return Violations::default();
        };
        let Some(latest) = self.latest(event_type) else {
            return Violation::new("/event_type", self.unknown_type(event_type)).into();
        };
        let Some(Ok(version)) = text("event_version").map(str::parse::<EventVersion>) else {
            return Violations::default();
        };
        let Some(contract) = self.get(event_type, version.number()) else {
            let message =
                format!("is not a known version of the event type; the latest is v{latest}");
            return Violation::new("/event_version", message).into();
        };
        let Some(payload) = document
            .get("payload")
            .filter(|payload| payload.is_object())
        else {
            return Violations::default();
        };
        let mut found = contract.violations(payload, "/payload");
        let info = &contract.info;
        if text("aggregate_type").is_some_and(|given| given != info.aggregate_type) {
            let message = format!("must be {}, as the contract says", info.aggregate_type);
            found.push(Violation::new("/aggregate_type", message));
        }
        // If the payload has no readable id, its own schema has already reported that.
        if let Some(expected) = info.aggregate_id_in(payload) {
            if AggregateId::new(expected.as_str()).is_err() {
                let field = info.aggregate_field.payload_field().unwrap_or_default();
                let message = "cannot be an aggregate's id: it must be 1 to 256 characters without '#', control characters, U+FFFE or U+FFFF";
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

    /// Checks what a producer is about to write: the contract exists and the payload is valid.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn validate_draft(&self, draft: &Draft) -> Result<(), Invalid> {
        let Some(contract) = self.get(draft.event_type.as_str(), draft.event_version.number())
        else {
            let message = format!("no contract {} {}", draft.event_type, draft.event_version);
            return Err(Invalid(Violation::new("/event_type", message).into()));
        };
        let payload: Value = serde_json::from_str(draft.payload.json())
            .map_err(|error| Invalid(Violation::new("/payload", strict::reason(&error)).into()))?;
        let found = contract.violations(&payload, "/payload");
        if !found.is_empty() {
            return Err(Invalid(found));
        }
        contract.check_decodes(draft.payload.json())
    }

    /// Accepts an event from another system. It checks everything at once and fills in the id and the time if they are
    /// absent. The commit assigns the correlation id if it is absent, and always the sequence, whatever the producer
    /// wrote.
    ///
    /// # Errors
    /// [`Invalid`] with every violation.
    pub fn ingest(&self, json: &str, arrival: &Arrival) -> Result<Draft, Invalid> {
        let at = |pointer: &str, message: String| Invalid(Violation::new(pointer, message).into());
        let filled = arrival.fill_in(json);
        let (json, document) = filled.map_err(|error| at("", strict::reason(&error)))?;
        let (json, found) = (json.as_ref(), self.validate(&document));
        if !found.is_empty() {
            return Err(Invalid(found));
        }
        let incoming: Incoming =
            strict::from_str(json).map_err(|error| at("", strict::reason(&error)))?;
        let contract = self
            .get(
                incoming.event_type.as_str(),
                incoming.event_version.number(),
            )
            .ok_or_else(|| at("/event_type", "is not a known event type".to_owned()))?;
        // A schema cannot see a field that is given twice.
        contract.check_decodes(incoming.payload.json())?;
        let info = contract.info;
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

    /// The fields that are not part of an envelope. Consumers ignore such fields, because a newer producer may send
    /// some that they do not know. In an event from another system such a field is probably a misspelling, and its
    /// value would be lost silently.
    #[must_use]
    pub fn unknown_fields(document: &Value) -> Violations {
        // Rendered only once, because the check runs for every event from another system.
        static SCHEMA: LazyLock<Value> = LazyLock::new(Registry::envelope_schema);
        let fields = document.as_object().into_iter().flatten();
        let unknown = fields.filter(|(name, _)| SCHEMA["properties"].get(name).is_none());
        unknown
            .map(|(name, _)| {
                let pointer = format!("/{}", escape(name));
                Violation::new(pointer, "is not a field of the envelope")
            })
            .collect()
    }

    /// Reads a stored envelope, as the bus and the lanes carry it. All required fields must be present.
    ///
    /// # Errors
    /// [`Invalid`] with every violation of the envelope. The decoder checks the payload.
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
        _ => Violations::default(),
    };
    if found.is_empty() {
        found.push(Violation::new("", strict::reason(error)));
    }
    Invalid(found)
}

/// The envelope as ingest accepts it.
#[derive(Debug, Deserialize, JsonSchema)]
struct Incoming {
    event_id: EventId,
    event_type: EventType,
    event_version: EventVersion,
    occurred_at: Timestamp,
    producer: Producer,
    producer_version: Option<Text<64>>,
    producer_instance: Option<Text<256>>,
    /// If absent, the event's own id: it starts a chain.
    correlation_id: Option<CorrelationId>,
    causation_id: Option<EventId>,
    parent_event_id: Option<EventId>,
    trace_id: Option<TraceParent>,
    #[expect(dead_code, reason = "checked on ingest, written anew at commit")]
    routing_key: Option<Text<160>>,
    /// If absent, the contract's priority.
    priority: Option<Priority>,
    /// If absent, the contract's aggregate type.
    #[expect(dead_code, reason = "checked on ingest, taken from the contract")]
    aggregate_type: Option<AggregateType>,
    /// If absent, the id in the payload field that the contract names.
    #[expect(dead_code, reason = "checked on ingest, taken from the payload")]
    aggregate_id: Option<AggregateId>,
    #[expect(dead_code, reason = "checked on ingest, given at commit")]
    sequence: Option<Sequence>,
    idempotency_key: Option<IdempotencyKey>,
    payload: Payload,
    metadata: Option<Metadata>,
}
