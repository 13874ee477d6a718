//! Commands: a change that a caller asks for, once, however often it is sent.

use std::future::Future;

use axum::{
    body::to_bytes,
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

use crate::{Caller, Failure, Problem, Reply, reply::CORRELATION_ID, schema::Checker};

/// The largest body of a request, in bytes.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

const IDEMPOTENCY_KEY: &str = "idempotency-key";
const MAX_IDEMPOTENCY_KEY: usize = 255;
const TRACEPARENT: &str = "traceparent";
const XRAY: &str = "x-amzn-trace-id";
/// For whom the caller acts, as it says itself: a filter and a trail, never a right.
const USER_ID: &str = "x-user-id";
const SESSION_ID: &str = "x-session-id";
const TENANT_ID: &str = "x-tenant-id";
/// Who asked, in the events' metadata: only we say so.
pub const METADATA_OWNER: &str = "api_key_owner";

/// A change asked for: the checked body, who asks, and what makes it unrepeatable.
///
/// As an extractor it refuses, in this order: a missing or malformed `Idempotency-Key` (400), a body over
/// [`MAX_BODY_BYTES`] (413), broken JSON (400), and a body that its type does not allow (422, every violation at once,
/// unknown fields among them).
#[derive(Debug, Clone)]
pub struct Command<T> {
    body: T,
    caller: Caller,
    mark: Mark,
    body_sha256: String,
    cause: Cause,
}

impl<T> Command<T> {
    /// What is asked for.
    #[must_use]
    pub fn body(&self) -> &T {
        &self.body
    }

    /// Who asks.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// What makes it unrepeatable.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// What its events follow from: the caller's chain and trace, and where the request came from.
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
        let bytes = to_bytes(body, MAX_BODY_BYTES)
            .await
            .map_err(|_| Problem::too_large(MAX_BODY_BYTES))?;
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

/// A JSON document as it was sent, for what looks at it and changes nothing. Refuses a body over [`MAX_BODY_BYTES`] (413) and one
/// that is not JSON (400).
#[derive(Debug, Clone)]
pub struct Document(Box<RawValue>);

impl Document {
    /// Its text.
    #[must_use]
    pub fn json(&self) -> &str {
        self.0.get()
    }
}

impl<S: Send + Sync> FromRequest<S> for Document {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let bytes = to_bytes(request.into_body(), MAX_BODY_BYTES).await;
        let bytes = bytes.map_err(|_| Problem::too_large(MAX_BODY_BYTES))?;
        let document = serde_json::from_slice(&bytes);
        document
            .map(Self)
            .map_err(|error| Problem::not_json(&error))
    }
}

fn read_body<T: DeserializeOwned + JsonSchema + 'static>(bytes: &[u8]) -> Result<T, Problem> {
    // A command may need nothing but its path; what it does need is then named as missing.
    let bytes = if bytes.is_empty() { b"{}" } else { bytes };
    let document: Value =
        serde_json::from_slice(bytes).map_err(|error| Problem::not_json(&error))?;
    let checker = Checker::of::<T>().map_err(Problem::internal_text)?;
    let violations = checker.violations(&document, "");
    if !violations.is_empty() {
        return Err(Problem::invalid(violations));
    }
    // From the text, not from the document: a field written twice is refused and not silently the last one.
    serde_json::from_slice(bytes)
        .map_err(|error| Problem::invalid(vec![Violation::new("", error.to_string())]))
}

/// A header that may be given once; `problem` refuses a second one.
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

/// The chain a caller says it belongs to, for the log: anything but a UUID says nothing.
pub(crate) fn correlation_id(headers: &HeaderMap) -> Option<CorrelationId> {
    header_text(headers, CORRELATION_ID.as_str())?.parse().ok()
}

/// The same for the events that follow: a caller that names its chain wrongly would look for it in vain.
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

/// What a caller says in a header of its own; an empty one is a mistake, not a blank.
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

/// As API Gateway saw it; headers that the caller writes itself do not count.
fn source_ip(parts: &Parts) -> Option<String> {
    use lambda_http::request::RequestContext;

    match parts.extensions.get::<RequestContext>()? {
        RequestContext::ApiGatewayV1(context) => context.identity.source_ip.clone(),
        RequestContext::ApiGatewayV2(context) => context.http.source_ip.clone(),
        _ => None,
    }
}

/// Carries out a command: decides, commits, keeps the answer, and gives repeats the first one.
///
/// `decide` gets an empty transaction and the body; it is called again after a conflict, so it reads what it decides on
/// itself, every time. What the rules forbid it returns as [`Decision::Refuse`], never as an error, and everything a
/// refusal rests on is read inside: a repeat of something already done then gets its first answer, whatever the rules
/// say of it now.
///
/// # Errors
/// The refusal; 422 when the key was used with another body; 503 with `Retry-After` on contention or when a dependency
/// is unavailable; 500 for faults of ours.
pub async fn execute<'c, T, A, F, Fut, const STATUS: u16>(
    outbox: &Outbox,
    command: &'c Command<T>,
    decide: F,
) -> Result<Reply<A, STATUS>, Problem>
where
    A: Serialize,
    F: Fn(Transaction, &'c T) -> Fut,
    Fut: Future<Output = Result<Decision<A, Problem>, Failure>>,
{
    execute_keeping(outbox, command, decide, |answer| {
        serde_json::to_value(answer)
    })
    .await
}

/// What an operation of a domain came to: its transaction with the answer, or the refusal as a problem.
///
/// # Errors
/// What the operation failed with; what `problem` fails with.
pub fn decided<D, A, R>(
    transaction: Transaction,
    done: Result<D, Stopped<R>>,
    problem: impl FnOnce(&R) -> Result<Problem, Failure>,
    answer: impl FnOnce(&D) -> A,
) -> Result<Decision<A, Problem>, Failure> {
    match done {
        Ok(done) => Ok(Decision::Commit(transaction, answer(&done))),
        Err(Stopped::Refused(refusal)) => Ok(Decision::Refuse(problem(&refusal)?)),
        Err(Stopped::Failed(error)) => Err(error.into()),
    }
}

/// [`execute`] for answers that hold a secret: what `keep` makes of the answer is what repeats get.
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
    Fut: Future<Output = Result<Decision<A, Problem>, Failure>>,
    K: Fn(&A) -> Result<Value, serde_json::Error>,
{
    let decide = |transaction| {
        let deciding = decide(transaction, &command.body);
        let keep = &keep;
        async move {
            Ok::<_, Failure>(match deciding.await? {
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
                    "a request's mark holds no answer".to_owned(),
                )),
            }
        }
        Outcome::Refused(problem) => Err(problem),
        Outcome::Contention => Err(Problem::contention()),
    }
}
