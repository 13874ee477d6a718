//! The endpoints and the state that they share.

use std::{fmt, sync::Arc};

use api::{
    Created, Doc, Keys, Problem, Reply, Routes, State, authenticate, closed_schema_of,
    problem_response as problem,
};
use axum::{
    Router,
    extract::{DefaultBodyLimit, Path, rejection::BytesRejection},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use events::Timestamp;
use http::{HeaderMap, StatusCode, header};
use outbox::Clock;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use stream_token::{Filter, Tokens};

use crate::{
    ages::Ages,
    config::StreamAddress,
    files::Files,
    lanes::{Lane, Queues, Sources, Status, status},
    letters::Letters,
    paused::Paused,
};

/// The scope that a key needs to make tokens: that of the stream.
const SCOPE: &str = "events:read";

/// The maximum size of a token request, in bytes.
const TOKEN_BODY_BYTES: usize = 16 * 1024;

/// The state that the endpoints share.
#[derive(Clone)]
pub struct App {
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The API keys.
    pub keys: Keys,
    /// Issues stream tokens.
    pub tokens: Tokens,
    /// Where the stream is, if it has an address of its own.
    pub stream: Option<StreamAddress>,
    /// The page.
    pub files: Files,
    /// The port to queues.
    pub queues: Arc<dyn Queues>,
    /// The port to the ages of waiting messages.
    pub ages: Arc<dyn Ages>,
    /// The port to the number of dead letters.
    pub letters: Arc<dyn Letters>,
    /// The port to the paused consumers.
    pub paused: Arc<dyn Paused>,
    /// The lanes that the status shows.
    pub lanes: Vec<Lane>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("stream", &self.stream)
            .field("lanes", &self.lanes.len())
            .finish_non_exhaustive()
    }
}

/// Returns the endpoints that `api::Routes` describes.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("dashboard").get(
        "/api/v1/status",
        lanes,
        Doc::new("The approximate depth of the lanes, the number of dead letters, and which consumers are paused"),
    )
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> Value {
    let mut document = routes().openapi();
    document["paths"]["/api/v1/stream-tokens"] = json!({ "post": token() });
    document
}

/// The function's router.
pub fn router(app: App) -> Router {
    let keys = app.keys.clone();
    let app = Arc::new(app);
    let own = Router::new()
        .route("/api/v1/stream-tokens", post(make_token))
        .layer(DefaultBodyLimit::max(TOKEN_BODY_BYTES))
        .route("/dashboard", get(|| async { to_page() }))
        .route("/dashboard/", get(page))
        .route("/dashboard/{file}", get(file))
        .with_state(Arc::clone(&app));
    routes().router(app, &keys).merge(own)
}

/// The page's files are named relative to it, so its own URL needs the slash. The stage in front of the path is not
/// known here: the redirect is relative, too.
fn to_page() -> Response {
    (
        StatusCode::PERMANENT_REDIRECT,
        [(header::LOCATION, "dashboard/index.html")],
    )
        .into_response()
}

async fn page(State(app): State<Arc<App>>) -> Response {
    app.files.file("")
}

async fn file(State(app): State<Arc<App>>, Path(name): Path<String>) -> Response {
    app.files.file(&name)
}

async fn lanes(State(app): State<Arc<App>>) -> Result<Reply<Status>, Problem> {
    let sources = Sources {
        queues: &*app.queues,
        ages: &*app.ages,
        letters: &*app.letters,
        paused: &*app.paused,
    };
    Reply::of(&status(sources, &app.lanes, app.clock.now()).await?)
}

/// A request for a stream token.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TokenRequest {
    #[serde(default)]
    filter: Filter,
}

/// A stream token.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TokenReply {
    /// `?token=` of the stream.
    token: String,
    /// When the token expires.
    expires_at: Timestamp,
    /// The stream's URL, without the token. Absent if the stream has no address of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

async fn make_token(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
    body: Result<Bytes, BytesRejection>,
) -> Result<Created<TokenReply>, Problem> {
    let caller = authenticate(&app.keys, SCOPE, &headers).await?;
    let body = body.map_err(|_| {
        let title = "The body is too large";
        Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-large", title)
            .detail(format!("at most {TOKEN_BODY_BYTES} bytes"))
    })?;
    let wanted = if body.iter().all(u8::is_ascii_whitespace) {
        TokenRequest::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| Problem::invalid(Vec::new()).violation("", error.to_string()))?
    };
    let filter = wanted.filter.checked("/filter")?;
    let issued = app.tokens.issue(&caller, filter, app.clock.now());
    let (token, expires_at) = issued.map_err(|error| Problem::internal(&error))?;
    tracing::info!(key_id = caller.key_id(), owner = %caller.owner(), "stream token made");
    Reply::of(&TokenReply {
        token,
        expires_at,
        url: app.stream.as_ref().map(StreamAddress::url),
    })
}

/// The operation of stream tokens, which changes nothing: `api::Routes` would demand an `Idempotency-Key`.
fn token() -> Value {
    json!({
        "operationId": "dashboard POST /api/v1/stream-tokens",
        "tags": ["dashboard"],
        "summary": "Make a stream token",
        "description": "For a browser's EventSource, which cannot send headers: `?token=` opens connections for some minutes. They see at most \
            the events that pass the filter. The request changes nothing, so it needs no Idempotency-Key.\n\nScope: `events:read`.",
        "security": [{ "api_key": ["events:read"] }],
        "requestBody": {
            "required": false,
            "content": { "application/json": { "schema": closed_schema_of::<TokenRequest>() } },
        },
        "responses": {
            "201": { "description": "The token was created.", "content": { "application/json": { "schema": closed_schema_of::<TokenReply>() } } },
            "401": problem("The API key is missing or unknown."),
            "403": problem("The API key lacks the scope."),
            "413": problem("The body exceeds 16 KB."),
            "422": problem("The filter is not valid."),
            "503": problem("The service is not available. It is safe to send the request again after Retry-After."),
        },
    })
}
