//! The endpoints and the state that they share.

use std::{fmt, sync::Arc, time::Duration};

use api::{
    Created, Doc, Events, Form, Keys, Problem, Query, Reply, Routes, State, authenticate,
    history::{EventPage, EventsQuery, history},
};
use axum::{
    Router,
    body::Body,
    extract::{DefaultBodyLimit, Path, Request, rejection::BytesRejection},
    middleware::Next,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use events::Timestamp;
use evidence::EvidenceTables;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use outbox::{Outbox, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::{
    ages::Ages,
    dashboard,
    filter::{Filter, StreamQuery, position},
    handled::handled,
    hub::{Full, Hub},
    lanes::{Lane, Queues, Status, status},
    stream::Connection,
    token::Tokens,
};

/// The scope that a key needs to watch events and to make tokens.
const SCOPE: &str = "events:read";

/// The maximum size of a token request, in bytes.
const TOKEN_BODY_BYTES: usize = 16 * 1024;

/// When a client that was refused for lack of places should try again.
const COME_AGAIN: Duration = Duration::from_secs(5);

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
static ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");

/// The time limits of connections.
#[derive(Debug, Clone, Copy)]
pub struct Times {
    /// The interval of heartbeats.
    pub heartbeat: Duration,
    /// The maximum lifetime of a connection. The client is then asked to connect again.
    pub life: Duration,
    /// The part of the invocation's time that remains when a connection ends.
    pub margin: Duration,
}

/// The state that the endpoints share.
#[derive(Clone)]
pub struct App {
    /// Reads the log and the tables.
    pub outbox: Outbox,
    /// The API keys.
    pub keys: Keys,
    /// The feed.
    pub feed: Table,
    /// The tables that hold consumers' evidence.
    pub tables: EvidenceTables,
    /// The shared reader.
    pub hub: Hub,
    /// Makes and checks stream tokens.
    pub tokens: Tokens,
    /// The time limits of connections.
    pub times: Times,
    /// The port to queues.
    pub queues: Arc<dyn Queues>,
    /// The port to the ages of waiting messages.
    pub ages: Arc<dyn Ages>,
    /// The lanes that the status shows.
    pub lanes: Vec<Lane>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

/// Returns the endpoints that need an API key.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    Routes::new("event-stream")
        .get(
            "/api/v1/events",
            log,
            Doc::new("The history of an aggregate"),
        )
        .get(
            "/api/v1/events/{event_id}/handled",
            handled,
            Doc::new("Which consumers have handled an event")
                .describe("Reads the evidence that the consumers write, as the audit does. 404 if the feed does not have the event yet, or no longer.")
                .problem(404, "The feed has no event with this id."),
        )
        .get(
            "/api/v1/status",
            lanes,
            Doc::new("The approximate depth of the lanes"),
        )
}

/// The function's OpenAPI document: only what the stream's own address serves. `system-api` merges it into that of the
/// whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    crate::openapi::document(&routes())
}

/// The function's router.
pub fn router(app: App) -> Router {
    let keys = app.keys.clone();
    let app = Arc::new(app);
    let own = Router::new()
        .route("/api/v1/events/stream", get(stream))
        .route("/api/v1/events/stream-tokens", post(make_token))
        .layer(DefaultBodyLimit::max(TOKEN_BODY_BYTES))
        .with_state(Arc::clone(&app));
    let files = Router::new()
        .route("/dashboard", get(|| async { to_dashboard() }))
        .route("/dashboard/", get(|| async { dashboard::file("") }))
        .route(
            "/dashboard/{file}",
            get(|Path(name): Path<String>| async move { dashboard::file(&name) }),
        );
    routes()
        .router(app, &keys)
        .merge(own)
        .merge(files)
        .layer(axum::middleware::from_fn(no_sniffing))
}

async fn no_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

fn to_dashboard() -> Response {
    (
        StatusCode::PERMANENT_REDIRECT,
        [(header::LOCATION, "/dashboard/")],
    )
        .into_response()
}

async fn log(
    State(app): State<Arc<App>>,
    form: Form,
    Query(query): Query<EventsQuery>,
) -> Result<Events<EventPage>, Problem> {
    history(&app.outbox, &query, &form).await
}

async fn lanes(State(app): State<Arc<App>>) -> Result<Reply<Status>, Problem> {
    let now = app.outbox.clock().now();
    Reply::of(&status(&*app.queues, &*app.ages, &app.lanes, now).await?)
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
    let now = app.outbox.clock().now();
    let issued = app.tokens.issue(&caller, filter, now);
    let (token, expires_at) = issued.map_err(|error| Problem::internal(&error))?;
    tracing::info!(key_id = caller.key_id(), owner = %caller.owner(), "stream token made");
    Reply::of(&TokenReply { token, expires_at })
}

/// The owner of a connection and its filters.
struct Watcher {
    key_id: String,
    owner: String,
    filters: Vec<Filter>,
}

async fn admit(app: &App, headers: &HeaderMap, query: &StreamQuery) -> Result<Watcher, Problem> {
    let filters = vec![query.filter.clone()];
    match &query.token {
        Some(token) if !headers.contains_key(header::AUTHORIZATION) => {
            let claims = app
                .tokens
                .verify(token, app.outbox.clock().now())
                .ok_or_else(|| {
                    Problem::unauthorized("the stream token is not valid or has expired")
                })?;
            Ok(Watcher {
                key_id: claims.key_id,
                owner: claims.owner,
                filters: [filters, vec![claims.filter]].concat(),
            })
        }
        _ => {
            let caller = authenticate(&app.keys, SCOPE, headers).await?;
            Ok(Watcher {
                key_id: caller.key_id().to_owned(),
                owner: caller.owner().to_string(),
                filters,
            })
        }
    }
}

fn full(full: Full) -> Problem {
    let detail = match full {
        Full::All => "all connections are in use",
        Full::OfKey => "the API key has reached its maximum number of connections",
    };
    Problem::new(
        StatusCode::TOO_MANY_REQUESTS,
        "too-many-streams",
        "Too many streams",
    )
    .detail(detail)
    .retry_after(COME_AGAIN)
}

async fn stream(State(app): State<Arc<App>>, request: Request) -> Result<Response, Problem> {
    let query = StreamQuery::read(request.uri())?;
    let headers = request.headers();
    let watcher = admit(&app, headers, &query).await?;
    let from = match (headers.get(&LAST_EVENT_ID), &query.last_event_id) {
        (Some(value), _) => Some(position(
            "/header/last-event-id",
            value.to_str().unwrap_or_default(),
        )?),
        (None, Some(text)) => Some(position("/query/last_event_id", text)?),
        (None, None) => None,
    };
    let deadline = Instant::now() + time_left(&app.times, &request);
    let seat = app.hub.seat(&watcher.key_id).map_err(full)?;
    tracing::info!(
        key_id = watcher.key_id,
        owner = watcher.owner,
        from,
        "stream opened"
    );
    let connection = Connection::begin(
        app.hub.clone(),
        seat,
        watcher.owner,
        (watcher.filters, query.format),
        from,
        app.times.heartbeat,
        deadline,
    )
    .await?;
    let body = Body::from_stream(connection.into_stream());
    let mut response = body.into_response();
    let headers = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, "text/event-stream; charset=utf-8"),
        (header::CACHE_CONTROL, "no-store"),
        (ACCEL_BUFFERING.clone(), "no"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    Ok(response)
}

/// Returns the time limit of a connection: its maximum lifetime and, on Lambda, at most what is left of the invocation.
fn time_left(times: &Times, request: &Request) -> Duration {
    api::time_left(request).map_or(times.life, |left| {
        times.life.min(left.saturating_sub(times.margin))
    })
}
