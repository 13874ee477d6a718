//! What every request passes before its handler: API key, scope, log line, and the handling of panics.

use std::{panic::AssertUnwindSafe, sync::Arc, time::Instant};

use axum::{
    extract::{FromRequestParts, Request, State},
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures::FutureExt as _;
use http::{HeaderMap, StatusCode, header, request::Parts};
use tracing::Instrument as _;

use crate::{Keys, Owner, Problem, Scope, problem::LoggedCause, reply::CORRELATION_ID};

/// The caller: the id, owner and scopes of the API key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    key_id: String,
    owner: Owner,
    scopes: Vec<Scope>,
}

impl Caller {
    pub(crate) fn new(key_id: String, owner: Owner, scopes: Vec<Scope>) -> Self {
        Self {
            key_id,
            owner,
            scopes,
        }
    }

    /// The id of the key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The owner of the key. A repeat belongs to the owner, whichever of the owner's keys is used.
    #[must_use]
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Whether the key has this scope.
    #[must_use]
    pub fn may(&self, scope: &str) -> bool {
        self.scopes.iter().any(|own| own.covers(scope))
    }
}

impl<S: Sync> FromRequestParts<S> for Caller {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        parts.extensions.get::<Self>().cloned().ok_or_else(|| {
            Problem::internal_text("a route without authentication asks for its caller".to_owned())
        })
    }
}

/// What a route requires of a request before the handler sees it.
pub(crate) struct Gate {
    pub(crate) route: &'static str,
    /// `None` if the route needs no API key.
    pub(crate) scope: Option<String>,
    pub(crate) keys: Keys,
}

pub(crate) async fn pass(
    State(gate): State<Arc<Gate>>,
    mut request: Request,
    next: Next,
) -> Response {
    let line = Line::begin(&request, gate.route);
    let span = tracing::info_span!(
        "request",
        route = gate.route,
        correlation_id = line.correlation_id.as_deref(),
    );
    let handled = async {
        let caller = match &gate.scope {
            None => None,
            Some(scope) => match admit(&gate.keys, scope, request.headers()).await {
                Ok(caller) => Some(caller),
                Err((problem, caller)) => return (problem.into_response(), caller),
            },
        };
        if let Some(caller) = &caller {
            request.extensions_mut().insert(caller.clone());
        }
        (next.run(request).await, caller)
    };
    let (response, caller) = AssertUnwindSafe(handled.instrument(span))
        .catch_unwind()
        .await
        .unwrap_or_else(|panic| {
            let words = panic
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "a payload that is not text".to_owned());
            let problem = Problem::internal_text(format!("the handler panicked: {words}"));
            (problem.into_response(), None)
        });
    line.end(&response, caller.as_ref());
    response
}

/// The caller whose API key has this scope. For endpoints that accept other credentials too and therefore do not use
/// the gate of [`crate::Routes`].
///
/// # Errors
/// 401 without a known key, 403 without the scope, 503 if the keys cannot be read.
pub async fn authenticate(
    keys: &Keys,
    scope: &str,
    headers: &HeaderMap,
) -> Result<Caller, Problem> {
    let admitted = admit(keys, scope, headers).await;
    admitted.map_err(|(problem, _)| problem)
}

async fn admit(
    keys: &Keys,
    scope: &str,
    headers: &HeaderMap,
) -> Result<Caller, (Problem, Option<Caller>)> {
    let refused = |why| (Problem::unauthorized(why), None);
    let value = headers
        .get(header::AUTHORIZATION)
        .ok_or_else(|| refused("send the header Authorization: Bearer <API key>"))?;
    let key = value
        .to_str()
        .ok()
        .and_then(|text| text.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, key)| key.trim())
        .ok_or_else(|| refused("the header Authorization must be: Bearer <API key>"))?;
    let caller = keys
        .verify(key)
        .await
        .map_err(|error| (error.into(), None))?
        .ok_or_else(|| refused("the API key is unknown"))?;
    if caller.may(scope) {
        Ok(caller)
    } else {
        Err((Problem::missing_scope(scope), Some(caller)))
    }
}

pub(crate) async fn no_route(request: Request) -> Response {
    let line = Line::begin(&request, "unmatched");
    let response = Problem::no_route().into_response();
    line.end(&response, None);
    response
}

pub(crate) async fn wrong_method(request: Request) -> Response {
    let line = Line::begin(&request, "unmatched");
    let response = Problem::wrong_method().into_response();
    line.end(&response, None);
    response
}

/// The one log line of a request. It never contains a body, a key or a parameter.
struct Line {
    began: Instant,
    method: http::Method,
    route: &'static str,
    correlation_id: Option<String>,
}

impl Line {
    fn begin(request: &Request, route: &'static str) -> Self {
        Self {
            began: Instant::now(),
            method: request.method().clone(),
            route,
            correlation_id: crate::command::correlation_id(request.headers())
                .map(|id| id.to_string()),
        }
    }

    fn end(self, response: &Response, caller: Option<&Caller>) {
        let status = response.status();
        let duration_ms = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let in_response = response
            .headers()
            .get(CORRELATION_ID)
            .and_then(|value| value.to_str().ok());
        let correlation_id = in_response.or(self.correlation_id.as_deref());
        let error = response
            .extensions()
            .get::<LoggedCause>()
            .map(|cause| cause.0.as_str());
        let (method, route) = (self.method.as_str(), self.route);
        let owner = caller.map(|caller| caller.owner().as_str());
        let key_id = caller.map(Caller::key_id);
        let status_code = status.as_u16();
        if status >= StatusCode::INTERNAL_SERVER_ERROR {
            tracing::error!(
                method,
                route,
                status = status_code,
                duration_ms,
                owner,
                key_id,
                correlation_id,
                error,
                "request"
            );
        } else {
            tracing::info!(
                method,
                route,
                status = status_code,
                duration_ms,
                owner,
                key_id,
                correlation_id,
                error,
                "request"
            );
        }
    }
}
