//! The endpoints and what they share.

use std::sync::Arc;

use api::{Doc, Keys, MergeError, Problem, Reply, Routes, State};
use axum::Router;
use outbox::{Outbox, Table};
use serde_json::Value;
use topology::Deployment;

use crate::{
    analytics,
    health::{Health, HealthReply},
    keys, log,
    witness::{self, DomainTables},
};

/// What the endpoints share.
#[derive(Debug)]
pub struct App {
    pub(crate) outbox: Outbox,
    pub(crate) keys: Keys,
    pub(crate) analytics: Table,
    pub(crate) domains: DomainTables,
    health: Health,
    document: Value,
}

impl App {
    /// Everything the endpoints need; `analytics` is the table of that consumer's counts, `domains` are those of the domains
    /// that are deployed.
    ///
    /// # Errors
    /// [`MergeError`] when two functions describe one endpoint or schema differently.
    pub fn new(
        outbox: Outbox,
        keys: Keys,
        analytics: Table,
        domains: DomainTables,
        health: Health,
        deployment: &Deployment,
    ) -> Result<Self, MergeError> {
        Ok(Self {
            outbox,
            keys,
            analytics,
            domains,
            health,
            document: document(deployment)?,
        })
    }
}

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
            "/api/v1/events",
            log::events,
            Doc::new("The history of an aggregate").describe(
                "Its events by number, without gaps, as they were committed. Nothing was ever said of an aggregate that has none.",
            ),
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
            log::contracts,
            Doc::new("The event types and their schemas"),
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
