//! The contracts, and the validation of events against them.

use std::sync::Arc;

use api::{Document, Path, Problem, Query, Reply, State};
use events::{
    Arrival, ContractInfo, EventType, EventVersion, Priority, RegisteredContract, Registry,
    Retention, Violation, Violations, cloudevents,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use topology::Deployment;

use crate::router::App;

pub(crate) const VALIDATE: &str = "\
Validates an event, an envelope or a CloudEvent, as `POST /api/v1/events` does, but for any contract, and commits nothing. \
`violations` lists at most 100 violations with their places, `more_violations` counts the others. Optional fields may be absent here too.";

/// The full sample of each contract, by its schema's path.
const SAMPLES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/samples.rs"));

/// The query of the contracts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ContractsQuery {
    /// Only contracts of this event type.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
}

/// The path parameter of an event type.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct TypePath {
    /// `domain.action`.
    pub event_type: String,
}

/// The path parameters of a contract.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ContractPath {
    /// `domain.action`.
    pub event_type: String,
    /// `v1`, `v2`, …
    pub event_version: String,
}

/// A contract.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractView {
    /// `domain.action`.
    pub event_type: &'static str,
    /// `v1`, `v2`, …
    pub event_version: EventVersion,
    /// The priority, unless the producer sets another one.
    pub priority: Priority,
    /// The function that publishes it.
    pub producer: &'static str,
    /// Whether other systems may publish it, by `POST /api/v1/events`.
    pub open: bool,
    /// Its consumers in this deployment.
    pub consumers: Vec<&'static str>,
    /// The aggregate: its type, and the payload field that has its id.
    pub aggregate: String,
    /// How many days the event log keeps it after publication; null: forever.
    pub retention_days: Option<u16>,
    /// The JSON Schema (2020-12) of its payload.
    pub schema: Value,
    /// A sample payload.
    pub sample: Value,
}

/// The catalogue of contracts.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractList {
    /// The contracts by type and version.
    pub items: Vec<ContractView>,
    /// The JSON Schema (2020-12) of the envelope around every payload.
    pub envelope: Value,
}

/// The result of a validation.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Verdict {
    /// Whether the event satisfies its contract.
    pub valid: bool,
    /// The violations: at most 100.
    pub violations: Vec<Violation>,
    /// How many more violations there are.
    pub more_violations: usize,
}

/// Returns the names of the consumers of an event type.
pub(crate) fn consumers(deployment: &Deployment, event_type: &str) -> Vec<&'static str> {
    let functions = deployment.functions().iter();
    functions
        .filter(|function| {
            let consumer = function.consumer();
            consumer.is_some_and(|consumer| consumer.selection.takes(event_type))
        })
        .map(|function| function.name)
        .collect()
}

/// Returns the sample payload of a contract.
pub(crate) fn sample(contract: &ContractInfo) -> Value {
    let path = contract.schema_path();
    let sample = SAMPLES.iter().find(|(of, _)| *of == path);
    let text = sample.map_or("null", |(_, text)| text);
    serde_json::from_str(text).unwrap_or_default()
}

fn view(contract: &RegisteredContract, deployment: &Deployment) -> Result<ContractView, Problem> {
    let info = contract.info();
    Ok(ContractView {
        event_type: info.event_type,
        event_version: EventVersion::new(info.version)
            .map_err(|error| Problem::internal(&error))?,
        priority: info.priority,
        producer: info.producer,
        open: info.is_open(),
        consumers: consumers(deployment, info.event_type),
        aggregate: info.aggregate_pattern(),
        retention_days: match info.retention {
            Retention::Forever => None,
            Retention::Days(days) => Some(days),
        },
        schema: contract.schema(),
        sample: sample(info),
    })
}

fn list(app: &App, event_type: Option<&str>) -> Result<ContractList, Problem> {
    let registered = app.outbox.registry().registered().iter();
    let items = registered
        .filter(|contract| event_type.is_none_or(|wanted| wanted == contract.info().event_type))
        .map(|contract| view(contract, &app.deployment))
        .collect::<Result<_, _>>()?;
    Ok(ContractList {
        items,
        envelope: Registry::envelope_schema(),
    })
}

pub(crate) async fn all(
    State(app): State<Arc<App>>,
    Query(query): Query<ContractsQuery>,
) -> Result<Reply<ContractList>, Problem> {
    Reply::of(&list(
        &app,
        query.event_type.as_ref().map(EventType::as_str),
    )?)
}

pub(crate) async fn of_type(
    State(app): State<Arc<App>>,
    Path(path): Path<TypePath>,
) -> Result<Reply<ContractList>, Problem> {
    let found = list(&app, Some(&path.event_type))?;
    if found.items.is_empty() {
        return Err(unknown_type(&app, &path.event_type));
    }
    Reply::of(&found)
}

pub(crate) async fn one(
    State(app): State<Arc<App>>,
    Path(path): Path<ContractPath>,
) -> Result<Reply<ContractView>, Problem> {
    Reply::of(&view(contract(&app, &path)?, &app.deployment)?)
}

pub(crate) async fn validate(
    State(app): State<Arc<App>>,
    Path(path): Path<ContractPath>,
    document: Document,
) -> Result<Reply<Verdict>, Problem> {
    let contract = contract(&app, &path)?.info();
    let violations = violations(app.outbox.registry(), contract, document.json());
    Reply::of(&Verdict {
        valid: violations.is_empty(),
        more_violations: violations.more(),
        violations: violations.into_iter().collect(),
    })
}

fn contract<'a>(app: &'a App, path: &ContractPath) -> Result<&'a RegisteredContract, Problem> {
    let registry = app.outbox.registry();
    let Some(latest) = registry.latest(&path.event_type) else {
        return Err(unknown_type(app, &path.event_type));
    };
    let version = path.event_version.parse::<EventVersion>().ok();
    let found = version.and_then(|version| registry.get(&path.event_type, version.number()));
    found.ok_or_else(|| {
        let words = format!(
            "{} does not have this version; the latest is v{latest}",
            path.event_type
        );
        Problem::not_found(words)
    })
}

fn unknown_type(app: &App, event_type: &str) -> Problem {
    let why = app.outbox.registry().unknown_type(event_type);
    Problem::not_found(format!("{event_type:?} {why}"))
}

/// Returns all violations of a contract by a document.
fn violations(registry: &Registry, contract: &ContractInfo, json: &str) -> Violations {
    let Ok(document) = serde_json::from_str::<Value>(json) else {
        return Violation::new("", "is not JSON").into();
    };
    let is_cloudevent = cloudevents::is_cloudevent(&document);
    let native = if is_cloudevent {
        cloudevents::from_cloudevent(json, registry.contracts()).map_err(|invalid| invalid.0)
    } else {
        Ok(json.to_owned())
    };
    let native = match native {
        Ok(native) => native,
        Err(violations) => return violations,
    };
    let arrival = Arrival {
        event_id: events::EventId::new(cloudevents::identity(&[])).ok(),
        now: events::Timestamp::EPOCH,
    };
    let mut found = match registry.ingest(&native, &arrival) {
        Ok(_) => Violations::default(),
        Err(invalid) => invalid.0,
    };
    let said: Value = serde_json::from_str(&native).unwrap_or_default();
    found.append(Registry::unknown_fields(&said));
    for (field, wanted) in [
        ("event_type", contract.event_type.to_owned()),
        ("event_version", format!("v{}", contract.version)),
    ] {
        let pointer = format!("/{field}");
        let is_named = found.iter().any(|one| one.pointer == pointer);
        if !is_named && said.get(field).is_some_and(|said| *said != wanted) {
            let message = format!("must be {wanted}, as the path says");
            found.push(Violation::new(pointer, message));
        }
    }
    if is_cloudevent {
        for one in found.iter_mut() {
            one.pointer = cloudevents::pointer(&one.pointer);
        }
    }
    found.sort();
    found
}
