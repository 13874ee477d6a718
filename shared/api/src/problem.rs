//! Answers that are no success: problem details (RFC 9457).

use std::{borrow::Cow, error::Error as StdError, time::Duration};

use axum::response::{IntoResponse, Response};
use events::Violation;
use http::{HeaderValue, StatusCode, header};
use outbox::MarkError;
use serde_json::{Map, Value};

/// What stands before every problem's name in `type`.
const TYPE_PREFIX: &str = "urn:millrace:problem:";

/// When to come back after something was unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Longer than the time a change was decided again in vain ([`outbox::RetryLimits::patience`]): most of those who want the same
/// thing are then away from it, and those who are at it get through.
const AFTER_CONTENTION: Duration = Duration::from_secs(5);

/// A problem details answer. Its `type` is `urn:millrace:problem:<name>`: stable, what programs compare.
#[derive(Debug, Clone)]
pub struct Problem(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    status: StatusCode,
    name: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<String>,
    violations: Vec<Violation>,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
    challenge: bool,
    cause: Option<String>,
}

impl Problem {
    /// A problem of your own. `name` is lower-case with hyphens and never changes; `title` says the kind for people.
    pub fn new(
        status: StatusCode,
        name: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self(Box::new(Details {
            status,
            name: name.into(),
            title: title.into(),
            detail: None,
            violations: Vec::new(),
            members: Map::new(),
            retry_after: None,
            challenge: false,
            cause: None,
        }))
    }

    /// What it is this time, for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// One more violation: where (a JSON pointer) and what.
    #[must_use]
    pub fn violation(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.violations.push(Violation::new(pointer, message));
        self
    }

    /// All these violations.
    #[must_use]
    pub fn violations(mut self, violations: impl IntoIterator<Item = Violation>) -> Self {
        self.0.violations.extend(violations);
        self
    }

    /// An extension member, e.g. `transaction_id`. It cannot replace one of RFC 9457's own.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.members.insert(member.into(), value.into());
        self
    }

    /// When to come back: the header `Retry-After` and the member `retry_after`, in whole seconds, at least 1.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.0.retry_after = Some(span);
        self
    }

    /// 404: there is no such thing.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(detail)
    }

    /// 409: the state of things forbids it.
    pub fn conflict(
        name: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, name, title)
    }

    /// 422: the body is JSON, but not what it must be.
    pub fn invalid(violations: Vec<Violation>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-request",
            "The request is not valid",
        )
        .violations(violations)
    }

    /// 400: a parameter in path, query or headers is not what it must be. Pointers begin with `/path`, `/query` or
    /// `/header`.
    pub fn invalid_parameter(violations: Vec<Violation>) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-parameter",
            "A parameter is not valid",
        )
        .violations(violations)
    }

    /// 400: the body is not JSON.
    pub(crate) fn not_json(error: &serde_json::Error) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "malformed-json",
            "The body is not JSON",
        )
        .violation("", error.to_string())
    }

    pub(crate) fn too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
        )
        .detail(format!("at most {limit} bytes are taken"))
        .with("limit_bytes", limit)
    }

    /// 401: nobody we know, or not any more.
    #[must_use]
    pub fn unauthorized(detail: &'static str) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "unauthorized",
            "A valid API key is required",
        )
        .detail(detail);
        problem.0.challenge = true;
        problem
    }

    /// 403: the key lacks this scope.
    pub fn missing_scope(scope: &str) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "missing-scope",
            "The API key lacks a scope",
        )
        .detail(format!("this needs the scope {scope}"))
        .with("scope", scope)
    }

    /// 403: the owner of the key asked for what it is to approve. See [`crate::Doc::approves`].
    pub fn approval_by_requester(detail: impl Into<String>) -> Self {
        Self::new(
            StatusCode::FORBIDDEN,
            "approval-by-requester",
            "A second person has to approve it",
        )
        .detail(detail)
    }

    pub(crate) fn no_route() -> Self {
        Self::new(StatusCode::NOT_FOUND, "unknown-path", "Unknown path")
            .detail("nothing is served at this path")
    }

    pub(crate) fn wrong_method() -> Self {
        Self::new(
            StatusCode::METHOD_NOT_ALLOWED,
            "method-not-allowed",
            "Method not allowed",
        )
        .detail("the header Allow names the methods of this path")
    }

    pub(crate) fn idempotency_key_required(message: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "idempotency-key-required",
            "An Idempotency-Key is required",
        )
        .violation("/header/idempotency-key", message)
    }

    pub(crate) fn invalid_header(name: &str, message: &str) -> Self {
        Self::new(
            StatusCode::BAD_REQUEST,
            "invalid-header",
            "A header is not valid",
        )
        .violation(format!("/header/{name}"), message)
    }

    pub(crate) fn idempotency_key_reused() -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "idempotency-key-reused",
            "The Idempotency-Key was used with another body",
        )
        .detail("nothing was done; a different request needs a key of its own")
        .violation("/header/idempotency-key", "was used with another body")
    }

    /// 503: others changed the same things again and again; the same request with the same key is safe to send again.
    #[must_use]
    pub fn contention() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contention",
            "Too many changes of the same thing at once",
        )
        .detail("nothing was changed; send the same request with the same Idempotency-Key again")
        .retry_after(AFTER_CONTENTION)
    }

    /// 503: a dependency does not answer; the same request with the same key is safe to send again.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Not available at the moment",
        )
        .detail("send the same request again; a change with the same Idempotency-Key happens once")
        .retry_after(RETRY_AFTER)
    }

    /// 500: a fault of ours. The error goes to the log with its sources, never to the caller.
    pub fn internal(error: &(dyn StdError + 'static)) -> Self {
        Self::internal_text(outbox::chain(error))
    }

    pub(crate) fn internal_text(text: String) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "Something is wrong on our side",
        );
        problem.0.cause = Some(text);
        problem
    }

    /// The HTTP status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.0.status
    }

    /// The name in `type`, after `urn:millrace:problem:`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The body, as RFC 9457 writes it: for one of several things in an answer.
    #[must_use]
    pub fn body(&self) -> Value {
        let mut body = self.0.members.clone();
        if let Some(seconds) = self.retry_after_seconds() {
            body.insert("retry_after".into(), seconds.into());
        }
        if !self.0.violations.is_empty() {
            let violations = self
                .0
                .violations
                .iter()
                .map(|found| serde_json::json!({ "pointer": found.pointer, "message": found.message }))
                .collect();
            body.insert("violations".into(), Value::Array(violations));
        }
        if let Some(detail) = &self.0.detail {
            body.insert("detail".into(), detail.as_str().into());
        }
        body.insert(
            "type".into(),
            format!("{TYPE_PREFIX}{}", self.0.name).into(),
        );
        body.insert("title".into(), self.0.title.as_ref().into());
        body.insert("status".into(), self.0.status.as_u16().into());
        Value::Object(body)
    }

    fn retry_after_seconds(&self) -> Option<u64> {
        self.0.retry_after.map(|span| span.as_secs().max(1))
    }
}

/// What the log line of a failed request says; travels beside the response, never in it.
#[derive(Debug, Clone)]
pub(crate) struct LoggedCause(pub(crate) String);

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = self.body().to_string();
        let mut response = (
            self.0.status,
            [(header::CONTENT_TYPE, "application/problem+json")],
            body,
        )
            .into_response();
        let headers = response.headers_mut();
        if let Some(seconds) = self.retry_after_seconds() {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.0.challenge {
            headers.insert(
                header::WWW_AUTHENTICATE,
                HeaderValue::from_static("Bearer realm=\"millrace\""),
            );
        }
        if let Some(cause) = self.0.cause {
            response.extensions_mut().insert(LoggedCause(cause));
        }
        response
    }
}

/// Why a command could not be decided: a dependency or the program failed. What the rules forbid is no failure but
/// [`crate::Decision::Refuse`], so that a repeat of something already done is never refused.
#[derive(Debug)]
pub struct Failure(Problem);

impl Failure {
    /// A fault of the program.
    pub fn internal(error: &(dyn StdError + 'static)) -> Self {
        Self(Problem::internal(error))
    }
}

impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        failure.0
    }
}

impl From<outbox::Error> for Problem {
    fn from(error: outbox::Error) -> Self {
        if error.is_unavailable() {
            let mut problem = Self::unavailable();
            problem.0.cause = Some(outbox::chain(&error));
            return problem;
        }
        if let outbox::Error::Mark(MarkError::KeyTooLong { .. })
        | outbox::Error::Build(outbox::BuildError::Mark(MarkError::KeyTooLong { .. })) = &error
        {
            return Self::invalid_parameter(vec![Violation::new(
                "/header/idempotency-key",
                error.to_string(),
            )]);
        }
        Self::internal(&error)
    }
}

impl From<outbox::Fault> for Problem {
    fn from(fault: outbox::Fault) -> Self {
        outbox::Error::from(fault).into()
    }
}

impl From<outbox::Error> for Failure {
    fn from(error: outbox::Error) -> Self {
        Self(error.into())
    }
}

impl From<outbox::Fault> for Failure {
    fn from(fault: outbox::Fault) -> Self {
        outbox::Error::from(fault).into()
    }
}

impl From<outbox::BuildError> for Failure {
    fn from(error: outbox::BuildError) -> Self {
        outbox::Error::from(error).into()
    }
}

macro_rules! program_faults {
    ($($error:ty),+) => {
        $(
            impl From<$error> for Failure {
                fn from(error: $error) -> Self {
                    Self::internal(&error)
                }
            }
        )+
    };
}

program_faults!(
    events::DraftError,
    events::IdError,
    events::TextError,
    events::AmountError,
    events::EnvelopeError,
    serde_json::Error
);
