//! The endpoints and the state that they share.

use std::sync::Arc;

use api::{Doc, Keys, MergeError, Problem, Reply, Routes, State};
use axum::Router;
use outbox::{Outbox, Table};
use serde_json::Value;
use topology::Deployment;

use crate::{
    analytics, asyncapi, contracts, events,
    health::{Health, HealthReply},
    keys, stats,
    witness::{self, DomainTables},
};

/// The tables that are only read.
#[derive(Debug, Clone)]
pub struct SystemTables {
    /// The counts of the consumer `analytics`.
    pub analytics: Table,
    /// The feed.
    pub feed: Table,
    /// The tables that hold the consumers' evidence.
    pub evidence: evidence::EvidenceTables,
    /// The tables of the deployed domains.
    pub domains: DomainTables,
}

/// The state that the endpoints share.
#[derive(Debug)]
pub struct App {
    pub(crate) outbox: Outbox,
    pub(crate) keys: Keys,
    pub(crate) analytics: Table,
    pub(crate) feed: Table,
    pub(crate) evidence: evidence::EvidenceTables,
    pub(crate) domains: DomainTables,
    pub(crate) deployment: Deployment,
    health: Health,
    document: Value,
}

impl App {
    /// Creates the state of the endpoints.
    ///
    /// # Errors
    /// [`MergeError`] when two functions describe one endpoint or schema differently.
    pub fn new(
        outbox: Outbox,
        keys: Keys,
        tables: SystemTables,
        health: Health,
        deployment: Deployment,
    ) -> Result<Self, MergeError> {
        Ok(Self {
            outbox,
            keys,
            analytics: tables.analytics,
            feed: tables.feed,
            evidence: tables.evidence,
            domains: tables.domains,
            health,
            document: document(&deployment)?,
            deployment,
        })
    }
}

const UNKNOWN_EVENT: &str =
    "No event with this id is known: it is not known yet, or no longer kept.";
const UNKNOWN_CONTRACT: &str =
    "The contract does not exist. The answer names the most similar types.";

/// The OpenAPI documents of the API functions, from `functions/<name>/openapi.json`.
const PARTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/openapi_parts.rs"));

/// Returns the document of the whole API: the endpoints of every deployed API function.
///
/// # Errors
/// [`MergeError`] when two functions describe one endpoint or schema differently.
pub fn document(deployment: &Deployment) -> Result<Value, MergeError> {
    let is_deployed = |name: &str| {
        deployment
            .functions()
            .iter()
            .any(|function| function.name == name)
    };
    let documents: Vec<Value> = PARTS
        .iter()
        .filter(|(name, _)| is_deployed(name))
        .map(|(_, part)| serde_json::from_str(part).unwrap_or_default())
        .collect();
    api::merge("Millrace", &documents)
}

/// The endpoints of this function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("system-api")
        .get(
            "/health",
            health,
            Doc::new("Check the health of the system")
                .describe("Calls DynamoDB, EventBridge and SQS, or answers from a check of the last 10 seconds. The status is 503, with the same body, if one of them does not answer.")
                .open(),
        )
        .get(
            "/api/v1/openapi.json",
            openapi_document,
            Doc::new("This document").open(),
        )
        .get(
            "/api/v1/asyncapi.json",
            asyncapi::asyncapi,
            Doc::new("The events as an AsyncAPI 3.0 document").open(),
        )
        .get(
            "/api/v1/events",
            events::log,
            Doc::new("The history of an aggregate").describe(
                "The aggregate's events in the order of their numbers, without gaps, as they were committed. The list is empty if the aggregate has no events.",
            ),
        )
        .get(
            "/api/v1/events/recent",
            events::recent,
            Doc::new("List recent events")
                .describe(events::RECENT)
                .problem(422, "`from` is not before `to`, or the domain is unknown."),
        )
        .get(
            "/api/v1/events/stats",
            stats::stats,
            Doc::new("Count events over time")
                .describe(stats::DESCRIPTION)
                .problem(422, "The span is empty or too long."),
        )
        .get(
            "/api/v1/events/{event_id}",
            events::one,
            Doc::new("An event by its id").problem(404, UNKNOWN_EVENT),
        )
        .get(
            "/api/v1/events/{event_id}/journey",
            events::journey,
            Doc::new("The journey of an event")
                .describe(events::JOURNEY)
                .problem(404, UNKNOWN_EVENT),
        )
        .get(
            "/api/v1/events/{event_id}/handled",
            events::handled,
            Doc::new("Which consumers have handled an event")
                .describe("Reads the evidence that the consumers write, as the audit does. The journey has the times, too.")
                .problem(404, UNKNOWN_EVENT),
        )
        .get(
            "/api/v1/events/witness",
            witness::witness,
            Doc::new("Compare an aggregate with the state rebuilt from its events")
                .describe(witness::DESCRIPTION)
                .problem(404, "The type is unknown (`known` lists the known types), or the aggregate has neither a row nor an event."),
        )
        .get(
            "/api/v1/contracts",
            contracts::all,
            Doc::new("The event types and their schemas"),
        )
        .get(
            "/api/v1/contracts/{event_type}",
            contracts::of_type,
            Doc::new("The versions of an event type").problem(404, UNKNOWN_CONTRACT),
        )
        .get(
            "/api/v1/contracts/{event_type}/{event_version}",
            contracts::one,
            Doc::new("A contract with its schema and a sample").problem(404, UNKNOWN_CONTRACT),
        )
        .post(
            "/api/v1/contracts/{event_type}/{event_version}/validate",
            contracts::validate,
            Doc::new("Check an event against a contract")
                .describe(contracts::VALIDATE)
                .reads()
                .problem(404, UNKNOWN_CONTRACT),
        )
        .get(
            "/api/v1/analytics/events",
            analytics::events,
            Doc::new("Count events over time and sum their amounts")
                .describe(analytics::DESCRIPTION)
                .problem(422, "The type is not counted, the span is empty or too long, or the parameters do not fit together."),
        )
        .post(
            "/api/v1/keys",
            keys::create,
            Doc::new("Create an API key").describe(
                "Only this answer shows the key; a repeat of the request gets only its id. A caller can give only scopes of its own, and only a key with the scope `*` can make keys of another owner than its own.",
            ),
        )
        .get("/api/v1/keys", keys::list, Doc::new("List API keys").describe("In no particular order, without the secret keys."))
        .delete(
            "/api/v1/keys/{key_id}",
            keys::delete,
            Doc::new("Delete an API key")
                .describe("The key is invalid from the next request on. Deleting a key that does not exist gets the same answer."),
        )
}

/// The OpenAPI document of this function's endpoints.
#[must_use]
pub fn openapi() -> Value {
    routes().openapi()
}

/// The function's router.
pub fn router(app: App) -> Router {
    let keys = app.keys.clone();
    routes().router(Arc::new(app), &keys)
}

async fn health(State(app): State<Arc<App>>) -> HealthReply {
    HealthReply(app.health.report().await)
}

async fn openapi_document(State(app): State<Arc<App>>) -> Result<Reply<Value>, Problem> {
    Reply::of(&app.document)
}
