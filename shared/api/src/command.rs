//! Commands: a requested change that takes effect once, however often the request is sent.

use std::future::Future;

use axum::{
    body::{Body, Bytes, to_bytes},
    extract::{FromRequest, Request},
};
use domain::Stopped;
use events::{Cause, CorrelationId, Metadata, Text, TraceParent, Violation};
use http::{HeaderMap, HeaderValue, header, request::Parts};
use outbox::{Answer, Decision, Mark, Outbox, Outcome, Transaction};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};
use telemetry::TraceContext;

use crate::{Caller, CommandError, Problem, Reply, reply::CORRELATION_ID, schema::Checker};

/// The largest body of a request, in bytes. A body is refused by its size before it is parsed, because a parsed document
/// can take a hundred times the space of its text; `functions/event-ingest/tests/memory.rs` measures the worst ones.
/// Depth needs no limit of its own: the parser refuses more than 127 levels.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_IDEMPOTENCY_KEY: usize = 255;
const TRACEPARENT: &str = "traceparent";
const XRAY: &str = "x-amzn-trace-id";
/// The user for whom the caller acts, as the caller states it: for filters and the audit trail, never for
/// authorisation.
const USER_ID: &str = "x-user-id";
const SESSION_ID: &str = "x-session-id";
const TENANT_ID: &str = "x-tenant-id";
/// The owner of the API key, in the events' metadata. The API sets it; a caller cannot.
pub const METADATA_OWNER: &str = "api_key_owner";

/// A requested change: the checked body, the caller, and the mark that makes it unrepeatable.
///
/// As an extractor it refuses, in this order: a missing or malformed `Idempotency-Key` (400), a body over
/// [`MAX_BODY_BYTES`] (413), malformed JSON (400), and a body that does not match its type (422, with every violation
/// at once, unknown fields included).
#[derive(Debug, Clone)]
pub struct Command<T> {
    body: T,
    caller: Caller,
    mark: Mark,
    body_sha256: String,
    cause: Cause,
}

impl<T> Command<T> {
    /// The checked body.
    #[must_use]
    pub fn body(&self) -> &T {
        &self.body
    }

    /// The caller.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// The owner of the caller's API key, as events and rows name it.
    ///
    /// # Errors
    /// [`Problem`] if it is longer than they allow.
    pub fn key_owner(&self) -> Result<Text<256>, Problem> {
        let owner = Text::new(self.caller.owner().to_string());
        owner.map_err(|error| Problem::internal(&error))
    }

    /// The user for whom the caller says it asks.
    #[must_use]
    pub fn actor(&self) -> Option<Text<256>> {
        let metadata = self.cause.metadata.as_ref();
        metadata.and_then(|metadata| metadata.user_id.clone())
    }

    /// Who makes a change, as events and rows name it: the user for whom the caller says it asks, else the owner of its key.
    ///
    /// # Errors
    /// [`Problem`] if the owner is longer than they allow.
    pub fn acting(&self) -> Result<Text<256>, Problem> {
        self.actor().map_or_else(|| self.key_owner(), Ok)
    }

    /// The mark that makes the command unrepeatable.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The cause of the command's events: the caller's correlation id and trace, and where the request came from.
    #[must_use]
    pub fn cause(&self) -> &Cause {
        &self.cause
    }
}

impl<T, S> FromRequest<S> for Command<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, state: &S) -> Result<Self, Problem> {
        use axum::extract::FromRequestParts as _;

        let (mut parts, body) = request.into_parts();
        let caller = Caller::from_request_parts(&mut parts, state).await?;
        let key = idempotency_key(&parts.headers)?;
        let bytes = bytes_of(body).await?;
        let body = read_body(&bytes)?;
        let body_sha256 = Mark::body_sha256(&bytes);
        let mark = Mark::Request {
            owner: caller.owner().to_string(),
            method: parts.method.to_string(),
            path: parts.uri.path().to_owned(),
            key,
            body_sha256: body_sha256.clone(),
        };
        let cause = cause(&parts, &caller)?;
        Ok(Self {
            body,
            caller,
            mark,
            body_sha256,
            cause,
        })
    }
}

/// The checked body of a request that changes nothing, for endpoints that calculate: it needs no `Idempotency-Key`. Refuses a
/// body over [`MAX_BODY_BYTES`] (413), a body that is not JSON (400), and one that does not match its type (422, with every
/// violation at once, unknown fields included).
#[derive(Debug, Clone)]
pub struct Question<T>(pub T);

impl<T, S> FromRequest<S> for Question<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        read_body(&bytes_of(request.into_body()).await?).map(Self)
    }
}

/// A JSON document as it was sent, for endpoints that inspect it and change nothing. Refuses a body over
/// [`MAX_BODY_BYTES`] (413) and a body that is not JSON (400).
#[derive(Debug, Clone)]
pub struct Document(Box<RawValue>);

impl Document {
    /// The document's text.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = bytes_of(request.into_body()).await?;
        let document = serde_json::from_slice(&bytes);
        document
            .map(Self)
            .map_err(|error| Problem::not_json(&error))
    }
}

async fn bytes_of(body: Body) -> Result<Bytes, Problem> {
    let bytes = to_bytes(body, MAX_BODY_BYTES).await;
    bytes.map_err(|_| Problem::body_too_large(MAX_BODY_BYTES))
}

fn read_body<T: DeserializeOwned + JsonSchema + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    // A command can need only its path. A field that it does need is then reported as missing.
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| Problem::not_json(&error))?;
    let checker = Checker::of::<T>().map_err(Problem::internal_text)?;
    let violations = checker.violations(&document, "");
    if !violations.is_empty() {
        return Err(Problem::invalid(violations));
    }
    // Decodes the text, not the document: a duplicate field is refused instead of the last one silently winning.
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(vec![Violation::new("", error.to_string())]))
}

/// A header that must not be repeated; `problem` builds the answer to a second one.
fn once<'h>(
    headers: &'h HeaderMap,
    name: &str,
    problem: impl FnOnce(&str) -> Problem,
) -> Result<Option<&'h HeaderValue>, Problem> {
    let mut values = headers.get_all(name).iter();
    let value = values.next();
    match values.next() {
        None => Ok(value),
        Some(_) => Err(problem("is given more than once")),
    }
}

fn idempotency_key(headers: &HeaderMap) -> Result<String, Problem> {
    let Some(value) = once(headers, IDEMPOTENCY_KEY, Problem::idempotency_key_required)? else {
        return Err(Problem::idempotency_key_required("is required"));
    };
    value
        .to_str()
        .ok()
        .filter(|text| (1..=MAX_IDEMPOTENCY_KEY).contains(&text.len()))
        .filter(|text| text.bytes().all(|byte| byte.is_ascii_graphic()))
        .map(str::to_owned)
        .ok_or_else(|| {
            Problem::idempotency_key_required(
                "must be 1 to 255 visible ASCII characters without spaces",
            )
        })
}

/// The correlation id from the caller, for the log. Anything but a UUID is ignored.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<CorrelationId> {
    header_text(headers, CORRELATION_ID.as_str())?.parse().ok()
}

/// The correlation id from the caller, for the events. A malformed one is refused: the caller would search for it in
/// vain.
fn chain(headers: &HeaderMap) -> Result<Option<CorrelationId>, Problem> {
    let name = CORRELATION_ID;
    let invalid = |message: &str| Problem::invalid_header(name.as_str(), message);
    let Some(value) = once(headers, name.as_str(), invalid)? else {
        return Ok(None);
    };
    let id = value.to_str().ok().and_then(|text| text.parse().ok());
    id.map(Some).ok_or_else(|| invalid("must be a UUID"))
}

fn header_text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// The value of an optional header. An empty value is refused as a mistake.
fn said(headers: &HeaderMap, name: &'static str) -> Result<Option<Text<256>>, Problem> {
    let invalid = |message: &str| Problem::invalid_header(name, message);
    let Some(value) = once(headers, name, invalid)? else {
        return Ok(None);
    };
    let text = value.to_str().ok().filter(|text| !text.is_empty());
    let text = text.and_then(|text| Text::new(text).ok());
    text.map(Some)
        .ok_or_else(|| invalid("must be 1 to 256 visible ASCII characters"))
}

fn cause(parts: &Parts, caller: &Caller) -> Result<Cause, Problem> {
    let headers = &parts.headers;
    let trace = header_text(headers, TRACEPARENT)
        .and_then(TraceContext::from_traceparent)
        .or_else(|| header_text(headers, XRAY).and_then(TraceContext::from_xray));
    let trace_id: Option<TraceParent> =
        trace.and_then(|context| context.traceparent().parse().ok());
    let user_agent =
        header_text(headers, header::USER_AGENT.as_str()).and_then(|agent| Text::new(agent).ok());
    let mut metadata = Metadata {
        user_id: said(headers, USER_ID)?,
        session_id: said(headers, SESSION_ID)?,
        tenant_id: said(headers, TENANT_ID)?,
        ip_address: source_ip(parts).and_then(|ip| Text::new(ip).ok()),
        user_agent,
        ..Metadata::default()
    };
    metadata
        .other
        .insert(METADATA_OWNER.to_owned(), caller.owner().to_string());
    Ok(Cause {
        correlation_id: chain(headers)?,
        event_id: None,
        trace_id,
        metadata: Some(metadata),
    })
}

/// The source address as API Gateway saw it. Headers that the caller can set itself do not count.
fn source_ip(parts: &Parts) -> Option<String> {
    use lambda_http::request::RequestContext;

    match parts.extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.clone(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Carries out a command: decides, commits and stores the answer. A repeat gets the stored answer.
///
/// `decide` gets an empty transaction and the body. It is called again after a conflict, so it must read everything
/// that it decides on itself, every time. It returns what the rules forbid as [`Decision::Refuse`], never as an error,
/// and it must read everything that a refusal rests on inside the closure. Then a repeat of a committed command gets
/// its first answer, whatever the rules would say now.
///
/// # Errors
/// The refusal; 422 if the key was used with another body; 503 with `Retry-After` on contention or if a dependency is
/// unavailable; 500 for our own faults.
pub async fn execute<'c, T, A, F, Fut, const STATUS: u16>(
    outbox: &Outbox,
    command: &'c Command<T>,
    decide: F,
) -> Result<Reply<A, STATUS>, Problem>
where
    A: Serialize,
    F: Fn(Transaction, &'c T) -> Fut,
    Fut: Future<Output = Result<Decision<A, Problem>, CommandError>>,
{
    execute_keeping(outbox, command, decide, |answer| {
        serde_json::to_value(answer)
    })
    .await
}

/// Turns the result of a domain's operation into a decision: its transaction with the answer, or the refusal as a
/// problem.
///
/// # Errors
/// The error of the operation, or of `problem`.
pub fn decided<D, A, R>(
    transaction: Transaction,
    done: Result<D, Stopped<R>>,
    problem: impl FnOnce(&R) -> Result<Problem, CommandError>,
    answer: impl FnOnce(&D) -> A,
) -> Result<Decision<A, Problem>, CommandError> {
    match done {
        Ok(done) => Ok(Decision::Commit(transaction, answer(&done))),
        Err(Stopped::Refused(refusal)) => Ok(Decision::Refuse(problem(&refusal)?)),
        Err(Stopped::Failed(error)) => Err(error.into()),
    }
}

/// [`execute`] for answers that hold a secret: `keep` returns the version of the answer that is stored and that repeats
/// get.
///
/// # Errors
/// As [`execute`].
pub async fn execute_keeping<'c, T, A, F, Fut, K, const STATUS: u16>(
    outbox: &Outbox,
    command: &'c Command<T>,
    decide: F,
    keep: K,
) -> Result<Reply<A, STATUS>, Problem>
where
    A: Serialize,
    F: Fn(Transaction, &'c T) -> Fut,
    Fut: Future<Output = Result<Decision<A, Problem>, CommandError>>,
    K: Fn(&A) -> Result<Value, serde_json::Error>,
{
    let decide = |transaction| {
        let deciding = decide(transaction, &command.body);
        let keep = &keep;
        async move {
            Ok::<_, CommandError>(match deciding.await? {
                Decision::Commit(mut transaction, answer) => {
                    transaction.answer(Answer {
                        status: STATUS,
                        body: keep(&answer)?,
                    });
                    Decision::Commit(transaction, serde_json::to_value(&answer)?)
                }
                Decision::Refuse(problem) => Decision::Refuse(problem),
            })
        }
    };
    match outbox
        .execute(&command.mark, &command.cause, decide)
        .await?
    {
        Outcome::Committed { value, events } => {
            let chain = events.first().map(|event| event.correlation_id);
            Ok(Reply::fresh(&value, chain.or(command.cause.correlation_id)))
        }
        Outcome::AlreadyDone(done) => {
            if done.body_sha256.as_deref() != Some(command.body_sha256.as_str()) {
                return Err(Problem::idempotency_key_reused());
            }
            match done.answer {
                Some(answer) => Ok(Reply::again(answer.status, &answer.body)),
                None => Err(Problem::internal_text(
                    "the mark of a request has no answer".to_owned(),
                )),
            }
        }
        Outcome::Refused(problem) => Err(problem),
        Outcome::Contention => Err(Problem::contention()),
    }
}
