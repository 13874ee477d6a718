//! What the stream's own address serves, for the OpenAPI document. A stream is no answer that `api::Routes` describes.

use std::sync::Arc;

use api::{Routes, closed_schema_of};
use serde_json::{Value, json};

use crate::router::{App, TokenReply, TokenRequest};

const STREAM: &str = "\
Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one for each event of the feed, in its order: \
`event` is the type, `id` the position, `data` the event in the format that is asked for. Resume with the header `Last-Event-ID` \
or `last_event_id`; without either it begins with what comes next. `heartbeat` comes while nothing else does; `gap` where what \
lies behind the position has expired; `overrun` before a client that does not keep up is cut off. A connection ends with the \
function's time: come again with the last id.";

/// The document: the described routes that no other function serves, the stream, and its tokens.
pub(crate) fn document(routes: &Routes<Arc<App>>) -> Value {
    let mut document = routes.openapi();
    // The front serves the same one.
    if let Some(paths) = document["paths"].as_object_mut() {
        paths.remove("/api/v1/events");
    }
    document["paths"]["/api/v1/events/stream"] = json!({ "get": stream() });
    document["paths"]["/api/v1/events/stream-tokens"] = json!({ "post": token() });
    if let Some(paths) = document["paths"].as_object_mut() {
        for methods in paths.values_mut() {
            for operation in methods
                .as_object_mut()
                .into_iter()
                .flat_map(|all| all.values_mut())
            {
                operation["servers"] = servers();
            }
        }
    }
    document
}

fn servers() -> Value {
    json!([{
        "url": "{stream}",
        "description": "The event stream's own address: the stack's output EventStreamUrl.",
        "variables": { "stream": { "default": "http://localhost:4567" } },
    }])
}

fn problem(description: &str) -> Value {
    json!({
        "description": description,
        "content": { "application/problem+json": { "schema": { "$ref": "#/components/schemas/Problem" } } },
    })
}

fn stream() -> Value {
    let parameter = |place: &str, name: &str, description: &str, schema: &Value| json!({ "name": name, "in": place, "required": false, "description": description, "schema": schema });
    let text = json!({ "type": "string", "minLength": 1, "maxLength": 255 });
    let position = json!({ "type": "string", "pattern": "^[0-9]{1,19}$" });
    let types = json!({ "type": "array", "maxItems": 50, "items": {
        "type": "string", "maxLength": 255, "pattern": r"^[a-z][a-z0-9_]*\.([a-z][a-z0-9_]*)?$",
    } });
    let format = json!({ "type": "string", "enum": ["envelope", "payload", "cloudevents"], "default": "envelope" });
    json!({
        "operationId": "event-stream GET /api/v1/events/stream",
        "tags": ["event-stream"],
        "summary": "Watch events as they happen",
        "description": format!("{STREAM}\n\nScope: `events:read`."),
        "security": [{ "api_key": ["events:read"] }, { "stream_token": [] }],
        "parameters": [
            parameter("query", "type", "Only these types, or domains with the dot behind them: `loan.`; any of them.", &types),
            parameter("query", "aggregate", "Only what is about this, `type/id`.", &text),
            parameter("query", "tenant", "Only what belongs to this tenant.", &text),
            parameter("query", "format", "As what each event is sent.", &format),
            parameter("query", "last_event_id", "Where to go on, for clients that cannot send the header.", &position),
            parameter("header", "Last-Event-ID", "Where to go on.", &position),
        ],
        "responses": {
            "200": { "description": "The stream.", "content": { "text/event-stream": { "schema": { "type": "string" } } } },
            "401": problem("Neither API key nor stream token is valid."),
            "403": problem("The API key lacks the scope."),
            "422": problem("A parameter is not valid, or the id was not given by this stream."),
            "429": problem("All connections are taken; come again after Retry-After."),
            "503": problem("Not available; safe to send again after Retry-After."),
        },
    })
}

fn token() -> Value {
    json!({
        "operationId": "event-stream POST /api/v1/events/stream-tokens",
        "tags": ["event-stream"],
        "summary": "Make a stream token",
        "description": "For a browser's EventSource, which sends no header: `?token=` opens connections for some minutes, with at most \
            what the filter lets through. Changes nothing, so it takes no Idempotency-Key.\n\nScope: `events:read`.",
        "security": [{ "api_key": ["events:read"] }],
        "requestBody": {
            "required": false,
            "content": { "application/json": { "schema": closed_schema_of::<TokenRequest>() } },
        },
        "responses": {
            "201": { "description": "Done.", "content": { "application/json": { "schema": closed_schema_of::<TokenReply>() } } },
            "401": problem("The API key is missing or not known."),
            "403": problem("The API key lacks the scope."),
            "413": problem("The body is over 16 KB."),
            "422": problem("The filter is not valid."),
            "503": problem("Not available; safe to send again after Retry-After."),
        },
    })
}

#[cfg(test)]
mod tests {
    /// `system-api` merges what stands checked in. `make schemas` writes it anew.
    #[test]
    fn the_openapi_document_is_checked_in_as_rendered() {
        let rendered = format!("{:#}\n", crate::router::openapi());
        expect_test::expect_file!["../openapi.json"].assert_eq(&rendered);
    }
}
