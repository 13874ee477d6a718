//! The stream's endpoint and its state.

use std::{fmt, sync::Arc, time::Duration};

use api::{Keys, Problem, State, authenticate};
use axum::{
    Router,
    body::Body,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
    routing::get,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use outbox::Outbox;
use stream_token::{Filter, Tokens};
use tokio::time::Instant;

use crate::{
    hub::{Full, Hub},
    leases::{Leases, NoPlace},
    query::{StreamQuery, position},
    stream::Connection,
};

/// The scope that a key needs to watch events.
const SCOPE: &str = "events:read";

/// When a client that was refused for lack of places of the process should try again.
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

/// The endpoint's state.
#[derive(Clone)]
pub struct App {
    /// Reads the feed, and the time.
    pub outbox: Outbox,
    /// The API keys.
    pub keys: Keys,
    /// The shared reader.
    pub hub: Hub,
    /// The places of the whole stack. `None` where one process serves many connections: the hub counts them.
    pub leases: Option<Leases>,
    /// Checks stream tokens.
    pub tokens: Tokens,
    /// The time limits of connections.
    pub times: Times,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("hub", &self.hub)
            .finish_non_exhaustive()
    }
}

/// The function's OpenAPI document. `system-api` merges it into that of the whole API.
#[must_use]
pub fn openapi() -> serde_json::Value {
    crate::openapi::document()
}

/// The function's router.
pub fn router(app: App) -> Router {
    Router::new()
        // A HEAD would take a place and read nothing.
        .route(
            "/api/v1/events/stream",
            get(stream).head(|| async { StatusCode::METHOD_NOT_ALLOWED }),
        )
        // For what stands in front of a server of its own.
        .route("/health", get(|| async { StatusCode::NO_CONTENT }))
        .with_state(Arc::new(app))
        .layer(from_fn(no_sniffing))
}

async fn no_sniffing(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let nosniff = HeaderValue::from_static("nosniff");
    response
        .headers_mut()
        .insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}

/// Wraps the router so that a page of any origin may read the answer to a request with a stream token. The dashboard is
/// such a page: it has another address than the stream. A token is a permission by itself, which a browser never adds
/// of its own accord, so the page's origin says nothing more about who asks.
pub fn open_to_tokens(router: Router) -> Router {
    router.layer(from_fn(async |request: Request, next: Next| {
        let has_token = StreamQuery::names_token(request.uri());
        let mut response = next.run(request).await;
        if has_token {
            let headers = response.headers_mut();
            let any = HeaderValue::from_static("*");
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, any);
            let readable = HeaderValue::from_static("retry-after");
            headers.insert(header::ACCESS_CONTROL_EXPOSE_HEADERS, readable);
        }
        response
    }))
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

/// The answer to a client for which there is no place.
fn full(full: Full, wait: Duration) -> Problem {
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
    .retry_after(wait)
}

fn no_place(error: NoPlace) -> Problem {
    match error {
        NoPlace::Full(of, wait) => full(of, wait),
        NoPlace::Store(error) => error.into(),
    }
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
    let life = time_left(&app.times, &request);
    let deadline = Instant::now() + life;
    let key_id = watcher.key_id.as_str();
    let seat = (app.hub.seat(key_id)).map_err(|of| full(of, COME_AGAIN))?;
    let lease = match &app.leases {
        Some(leases) => Some(leases.take(key_id, life).await.map_err(no_place)?),
        None => None,
    };
    tracing::info!(key_id, owner = watcher.owner, from, "stream opened");
    let begun = Connection::begin(
        app.hub.clone(),
        seat,
        watcher.owner,
        (watcher.filters, query.format),
        from,
        app.times.heartbeat,
        deadline,
    )
    .await;
    let connection = match begun {
        Ok(connection) => connection.holding(lease),
        Err(problem) => {
            if let Some(lease) = lease {
                lease.give_back().await;
            }
            return Err(problem);
        }
    };
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
