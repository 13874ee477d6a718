//! The endpoint.

use std::{borrow::Cow, sync::Arc};

use api::{Command, Doc, Problem, Reply, Routes, State};
use outbox::Mark;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::ingest::{Ingest, MAX_EVENTS, Receipt, Sender, Taken};

const DESCRIPTION: &str = "\
Takes one event, a list of at most 25, or `{\"events\": [...]}`; each an envelope or a CloudEvent 1.0. Only contracts that are open to \
others: `GET /api/v1/contracts` says which. `event_id`, `occurred_at` and `correlation_id` may be absent; the sequence is given here. \
An event whose id, or whose `idempotency_key` for its type and aggregate, was taken before is a `duplicate` and not taken again; one \
without id is known by the `Idempotency-Key` and its place in the call. Each event is committed by itself: `items` says, in their \
order, what became of each. `failed` ones may be sent again. Of a call with one event that was not taken the problem is the answer.";

/// Events as others send them.
#[derive(Debug, Deserialize)]
pub struct Published(Box<RawValue>);

impl JsonSchema for Published {
    fn schema_name() -> Cow<'static, str> {
        "Published".into()
    }
    // Each event is checked by itself, against the envelope and its contract.
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
            .problem(403, "The API key lacks the scope, or the event is told by a function of ours alone: `producer` says which.")
            .problem(409, "Another event has this id.")
            .problem(413, "There are more than 25 events, the body has more than 256 KB, or an event more than 200 KB."),
    )
}

/// The OpenAPI document of the function, for the one that `system-api` joins.
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

#[cfg(test)]
mod tests {
    /// `system-api` merges what stands checked in. `make schemas` writes it anew.
    #[test]
    fn the_openapi_document_is_checked_in_as_rendered() {
        let rendered = format!("{:#}\n", super::openapi());
        expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
    }
}
