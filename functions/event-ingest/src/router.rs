//! The endpoint.

use std::{borrow::Cow, sync::Arc};

use api::{Command, Doc, Problem, Reply, Routes, State};
use outbox::Mark;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::{Ingest, MAX_EVENTS, Receipt, Sender, Taken};

const DESCRIPTION: &str = "\
Accepts one event, a list of at most 25, or `{\"events\": [...]}`. Each is an envelope or a CloudEvent 1.0, of a contract that is open to \
others (see `GET /api/v1/contracts`). `event_id`, `occurred_at` and `correlation_id` are optional; the API assigns `sequence`. \
If an event's id, or its `idempotency_key` for its type and aggregate, is known, the event is a `duplicate` and is not committed again. \
An event without an id is identified by the `Idempotency-Key` and its position in the call. Each event is committed independently: \
`items` has their outcomes in order. Send `failed` events again. If a call has a single event that is not accepted, the answer is its problem.";

/// Events as other systems send them.
#[derive(Debug, Deserialize)]
pub struct Published(Box<RawValue>);

impl JsonSchema for Published {
    fn schema_name() -> Cow<'static, str> {
        "Published".into()
    }
    // The ingest checks each event against the envelope and its contract.
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An event, a list of them, or an object with `events`.",
            "anyOf": [
                { "type": "object", "additionalProperties": true },
                { "type": "array", "items": { "type": "object", "additionalProperties": true }, "minItems": 1 },
            ],
            "x-expected": "an event or a list of events",
        })
    }
}

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<Ingest>> {
    Routes::new("event-ingest").post(
        "/api/v1/events",
        publish,
        Doc::new("Publish events")
            .describe(DESCRIPTION)
            .problem(403, "The API key lacks the scope, or only the function named by `producer` publishes the event.")
            .problem(409, "Another event already has this id.")
            .problem(413, "The call has more than 25 events, the body exceeds 256 KB, or an event exceeds 200 KB."),
    )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    routes().openapi()
}

async fn publish(
    State(ingest): State<Arc<Ingest>>,
    command: Command<Published>,
) -> Result<Reply<Receipt>, Problem> {
    let repeat_key = match command.mark() {
        Mark::Request { owner, key, .. } => vec!["request".to_owned(), owner.clone(), key.clone()],
        _ => Vec::new(),
    };
    let sender = Sender {
        repeat_key,
        cause: command.cause().clone(),
    };
    let body = &command.body().0;
    let mut receipt = ingest.take(body, &sender).await?;
    let is_one = body.get().starts_with('{') && receipt.items.len() == 1;
    if is_one
        && let Some(Taken {
            problem: Some(problem),
            ..
        }) = receipt.items.pop_if(|item| item.problem.is_some())
    {
        return Err(problem);
    }
    Reply::of(&receipt)
}

const _: () = assert!(MAX_EVENTS == 25, "the description says so");
