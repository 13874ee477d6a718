//! The event log's histories and the contracts.

use std::sync::Arc;

use api::{
    Problem, Query, Reply, State,
    history::{EventPage, EventsQuery, history},
};
use events::{EventType, EventVersion, Priority, Registry, Retention};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::router::App;

pub(crate) async fn events(
    State(app): State<Arc<App>>,
    Query(query): Query<EventsQuery>,
) -> Result<Reply<EventPage>, Problem> {
    history(&app.outbox, &query).await
}

/// Which contracts.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct ContractsQuery {
    /// Only those of this event type.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
}

/// A contract as it is listed.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractView {
    /// `domain.action`.
    pub event_type: &'static str,
    /// `v1`, `v2`, …
    pub event_version: EventVersion,
    /// Priority unless the producer says otherwise.
    pub priority: Priority,
    /// Who publishes it.
    pub producer: &'static str,
    /// What it is about: kind and the payload field that names which.
    pub aggregate: String,
    /// Days it stays in the log after publication; null: for ever.
    pub retention_days: Option<u16>,
    /// The JSON Schema (2020-12) of its payload.
    pub schema: Value,
}

/// The catalogue.
#[derive(Debug, Serialize, JsonSchema)]
pub struct ContractList {
    /// The contracts by type and version.
    pub items: Vec<ContractView>,
    /// The JSON Schema (2020-12) of the envelope around every payload.
    pub envelope: Value,
}

pub(crate) async fn contracts(
    State(app): State<Arc<App>>,
    Query(query): Query<ContractsQuery>,
) -> Result<Reply<ContractList>, Problem> {
    let items = app
        .outbox
        .registry()
        .entries()
        .iter()
        .filter(|entry| {
            let wanted = query.event_type.as_ref();
            wanted.is_none_or(|wanted| wanted.as_str() == entry.info().event_type)
        })
        .map(|entry| {
            let info = entry.info();
            Ok(ContractView {
                event_type: info.event_type,
                event_version: EventVersion::new(info.version)
                    .map_err(|error| Problem::internal(&error))?,
                priority: info.priority,
                producer: info.producer,
                aggregate: info.aggregate_pattern(),
                retention_days: match info.retention {
                    Retention::Forever => None,
                    Retention::Days(days) => Some(days),
                },
                schema: entry.schema(),
            })
        })
        .collect::<Result<_, Problem>>()?;
    Reply::of(&ContractList {
        items,
        envelope: Registry::envelope_schema(),
    })
}
