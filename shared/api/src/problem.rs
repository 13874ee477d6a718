//! Answers that report an error: problem details (RFC 9457).

use std::{borrow::Cow, error::Error as StdError, time::Duration};

use axum::response::{IntoResponse, Response};
use events::{Violation, Violations};
use http::{HeaderValue, StatusCode, header};
use outbox::MarkError;
use serde_json::{Map, Value};

/// The prefix of every problem's name in `type`.
const TYPE_PREFIX: &str = "urn:millrace:problem:";

/// How long a caller waits before a retry if a dependency is unavailable.
const RETRY_AFTER: Duration = Duration::from_secs(2);
/// Longer than the time for which a change is decided again after conflicts ([`outbox::RetryLimits::patience`]). Until
/// callers retry, most requests that contend for the item have ended, so the remaining ones succeed.
const AFTER_CONTENTION: Duration = Duration::from_secs(5);

/// A problem details answer. Its `type` is `urn:millrace:problem:<name>`. The name is stable, so programs can compare
/// it.
#[derive(Debug, Clone)]
pub struct Problem(Box<Details>);

#[derive(Debug, Clone)]
struct Details {
    status: StatusCode,
    name: Cow<'static, str>,
    title: Cow<'static, str>,
    detail: Option<String>,
    violations: Violations,
    members: Map<String, Value>,
    retry_after: Option<Duration>,
    challenge: bool,
    cause: Option<String>,
}

impl Problem {
    /// A problem of your own. `name` is lower-case with hyphens and never changes; `title` names the kind of problem
    /// for people.
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
            violations: Violations::default(),
            members: Map::new(),
            retry_after: None,
            challenge: false,
            cause: None,
        }))
    }

    /// The details of this occurrence, for people.
    #[must_use]
    pub fn detail(mut self, detail: impl Into<String>) -> Self {
        self.0.detail = Some(detail.into());
        self
    }

    /// Adds a violation: its place (a JSON pointer) and what is wrong.
    #[must_use]
    pub fn violation(mut self, pointer: impl Into<String>, message: impl Into<String>) -> Self {
        self.0.violations.push(Violation::new(pointer, message));
        self
    }

    /// Adds these violations. The answer lists at most [`events::MAX_VIOLATIONS`]; its member `more_violations` says
    /// how many more there are.
    #[must_use]
    pub fn violations(mut self, violations: impl Into<Violations>) -> Self {
        self.0.violations.append(violations.into());
        self
    }

    /// Adds an extension member, for example `transaction_id`. It cannot replace a member that RFC 9457 defines.
    #[must_use]
    pub fn with(mut self, member: impl Into<String>, value: impl Into<Value>) -> Self {
        self.0.members.insert(member.into(), value.into());
        self
    }

    /// When to retry: the header `Retry-After` and the member `retry_after`, in whole seconds, at least 1.
    #[must_use]
    pub fn retry_after(mut self, span: Duration) -> Self {
        self.0.retry_after = Some(span);
        self
    }

    /// 404: the thing does not exist.
    pub fn not_found(detail: impl Into<String>) -> Self {
        Self::new(StatusCode::NOT_FOUND, "not-found", "Not found").detail(detail)
    }

    /// 409: the current state forbids the request.
    pub fn conflict(
        name: impl Into<Cow<'static, str>>,
        title: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self::new(StatusCode::CONFLICT, name, title)
    }

    /// 422: the body is JSON but does not match its schema.
    pub fn invalid(violations: impl Into<Violations>) -> Self {
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "invalid-request",
            "The request is not valid",
        )
        .violations(violations)
    }

    /// 400: a parameter in path, query or headers is not valid. Pointers begin with `/path`, `/query` or `/header`.
    pub fn invalid_parameter(violations: impl Into<Violations>) -> Self {
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

    /// 413: the body has more bytes than this.
    #[must_use]
    pub fn body_too_large(limit: usize) -> Self {
        Self::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "body-too-large",
            "The body is too large",
        )
        .detail(format!("a body can have at most {limit} bytes"))
        .with("limit_bytes", limit)
    }

    /// 401: the API key is missing, unknown or deleted.
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

    /// 403: the owner of the key requested what it tries to approve. See [`crate::Doc::approves`].
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
            .detail("there is no endpoint at this path")
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

    /// 503: other requests kept changing the same item. The same request with the same key is safe to send again.
    #[must_use]
    pub fn contention() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "contention",
            "Too many concurrent changes of the same item",
        )
        .detail("nothing was changed; send the same request with the same Idempotency-Key again")
        .retry_after(AFTER_CONTENTION)
    }

    /// 503: a dependency does not answer. The same request with the same key is safe to send again.
    #[must_use]
    pub fn unavailable() -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "unavailable",
            "Not available at the moment",
        )
        .detail(
            "send the same request again; a change with the same Idempotency-Key takes effect once",
        )
        .retry_after(RETRY_AFTER)
    }

    /// 500: a fault on our side. The error goes to the log with its sources, never to the caller.
    pub fn internal(error: &(dyn StdError + 'static)) -> Self {
        Self::internal_text(outbox::chain(error))
    }

    pub(crate) fn internal_text(text: String) -> Self {
        let mut problem = Self::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "internal",
            "An internal error occurred",
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

    /// The body as RFC 9457 defines it, for an answer in which it is one of several items.
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
        if self.0.violations.more() > 0 {
            body.insert("more_violations".into(), self.0.violations.more().into());
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

/// The error for the log line of a failed request. It travels beside the response, never in it.
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

/// Why a command could not be decided: a dependency failed, or the program has a fault. A refusal by the rules is
/// [`crate::Decision::Refuse`] instead, so that a repeat of a committed command is never refused.
#[derive(Debug)]
pub struct CommandError(Problem);

impl CommandError {
    /// A fault of the program.
    pub fn internal(error: &(dyn StdError + 'static)) -> Self {
        Self(Problem::internal(error))
    }
}

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        error.0
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
        if let outbox::Error::Build(outbox::BuildError::Mark(MarkError::IdentityTooLong {
            ..
        })) = &error
        {
            // The caller's ids are in it; which of them is too long, only the endpoint knows.
            return Self::invalid(vec![Violation::new("", error.to_string())]);
        }
        Self::internal(&error)
    }
}

impl From<outbox::Fault> for Problem {
    fn from(fault: outbox::Fault) -> Self {
        outbox::Error::from(fault).into()
    }
}

impl From<outbox::Error> for CommandError {
    fn from(error: outbox::Error) -> Self {
        Self(error.into())
    }
}

impl From<outbox::Fault> for CommandError {
    fn from(fault: outbox::Fault) -> Self {
        outbox::Error::from(fault).into()
    }
}

impl From<outbox::BuildError> for CommandError {
    fn from(error: outbox::BuildError) -> Self {
        outbox::Error::from(error).into()
    }
}

macro_rules! program_faults {
    ($($error:ty),+) => {
        $(
            impl From<$error> for CommandError {
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
