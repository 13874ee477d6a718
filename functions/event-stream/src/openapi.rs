//! The OpenAPI document of the stream, which `api::Routes` cannot describe.

use std::sync::Arc;

use api::{Routes, problem_response as problem};
use serde_json::{Value, json};

use crate::router::App;

const STREAM: &str = "\
Server-sent events (https://html.spec.whatwg.org/multipage/server-sent-events.html), one for each event, in the feed's order: \
`event` is the type, `id` the position, and `data` the event in the requested format. Resume with the header `Last-Event-ID` \
or `last_event_id`; without them, the stream starts with the next event. `heartbeat` is sent while there are no events; `gap` if events \
after the position have expired; `overrun` before a client that does not keep up is cut off. A connection ends by itself, on Lambda \
within 60 s: connect again with the last id.";

/// Returns the document.
pub(crate) fn document() -> Value {
    let mut document = Routes::<Arc<App>>::new("event-stream").openapi();
    document["paths"]["/api/v1/events/stream"] = json!({ "get": stream() });
    document["paths"]["/api/v1/events/stream"]["get"]["servers"] = servers();
    document
}

fn servers() -> Value {
    json!([{
        "url": "{stream}",
        "description": "The event stream's own address: the stack's output StreamUrl.",
        "variables": { "stream": { "default": "http://localhost:4567" } },
    }])
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
            parameter("query", "type", "Only events of these types, or of known domains with a trailing dot (`loan.`).", &types),
            parameter("query", "aggregate", "Only events of this aggregate, `type/id`.", &text),
            parameter("query", "tenant", "Only events of this tenant.", &text),
            parameter("query", "format", "The format of each event.", &format),
            parameter("query", "last_event_id", "The id to resume after, for clients that cannot send the header.", &position),
            parameter("header", "Last-Event-ID", "The id to resume after.", &position),
        ],
        "responses": {
            "200": { "description": "The stream.", "content": { "text/event-stream": { "schema": { "type": "string" } } } },
            "401": problem("The request has no valid API key or stream token."),
            "403": problem("The API key lacks the scope."),
            "422": problem("A parameter is not valid, or the stream never sent this id."),
            "429": problem("All connections are in use, of the API key or of the stack; try again after Retry-After."),
            "503": problem("The service is not available. It is safe to send the request again after Retry-After."),
        },
    })
}
