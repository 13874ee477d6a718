//! The endpoints and what they share.

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
pub struct Tables {
    /// The counts of the consumer `analytics`.
    pub analytics: Table,
    /// The feed.
    pub feed: Table,
    /// Where consumers leave the evidence of what they handled.
    pub evidence: evidence::Tables,
    /// Those of the domains that are deployed.
    pub domains: DomainTables,
}

/// What the endpoints share.
#[derive(Debug)]
pub struct App {
    pub(crate) outbox: Outbox,
    pub(crate) keys: Keys,
    pub(crate) analytics: Table,
    pub(crate) feed: Table,
    pub(crate) evidence: evidence::Tables,
    pub(crate) domains: DomainTables,
    pub(crate) deployment: Deployment,
    health: Health,
    document: Value,
}

impl App {
    /// Everything the endpoints need.
    ///
    /// # Errors
    /// [`MergeError`] when two functions describe one endpoint or schema differently.
    pub fn new(
        outbox: Outbox,
        keys: Keys,
        tables: Tables,
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

const UNKNOWN_EVENT: &str = "No event of this id is known: not yet, or not any more.";
const UNKNOWN_CONTRACT: &str = "There is no such contract; the answer names the nearest types.";

/// What each API function says of its endpoints, as it stands checked in at `functions/<name>/openapi.json`.
const PARTS: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/openapi_parts.rs"));

/// The document of the whole API: the endpoints of every API function that is deployed.
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
            Doc::new("Whether everything answers")
                .describe("Really asks DynamoDB, EventBridge and SQS. 503 with the same body when one of them does not answer.")
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
                "Its events by number, without gaps, as they were committed. Nothing was ever said of an aggregate that has none.",
            ),
        )
        .get(
            "/api/v1/events/recent",
            events::recent,
            Doc::new("What happened lately")
                .describe(events::RECENT)
                .problem(422, "`from` is not before `to`."),
        )
        .get(
            "/api/v1/events/stats",
            stats::stats,
            Doc::new("How many events there were")
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
            Doc::new("What became of an event")
                .describe(events::JOURNEY)
                .problem(404, UNKNOWN_EVENT),
        )
        .get(
            "/api/v1/events/witness",
            witness::witness,
            Doc::new("Compare an aggregate with what its events alone come to")
                .describe(witness::DESCRIPTION)
                .problem(404, "The type is unknown (`known` lists the others), or there is neither such an aggregate nor an event of one."),
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
            Doc::new("A contract, with schema and sample").problem(404, UNKNOWN_CONTRACT),
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
            Doc::new("How many events there were, and what they moved")
                .describe(analytics::DESCRIPTION)
                .problem(422, "The type is not counted, the span is empty or too long, or the parameters do not go together."),
        )
        .post(
            "/api/v1/keys",
            keys::create,
            Doc::new("Make an API key").describe(
                "The key is shown in this answer alone; a repeat of the request gets its id. Only scopes that the caller has can be given.",
            ),
        )
        .get("/api/v1/keys", keys::list, Doc::new("List API keys").describe("In no order, without their text."))
        .delete(
            "/api/v1/keys/{key_id}",
            keys::delete,
            Doc::new("Delete an API key")
                .describe("It stops with the next request. Deleting one that is not there is answered the same way."),
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

#[cfg(test)]
mod tests {
    /// `system-api` merges what stands checked in. `make schemas` writes it anew.
    #[test]
    fn the_openapi_document_is_checked_in_as_rendered() {
        let rendered = format!("{:#}\n", super::openapi());
        expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
    }
}
