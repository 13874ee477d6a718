//! The stack's HTTP API, for the verbs whose scopes, checks and records are there.
//!
//! A call whose answer is lost is made again. Every call may be repeated: a read changes nothing, and a command has an
//! `Idempotency-Key`, which is made once and is the same in each try.

use std::{error::Error as StdError, fmt, io, time::Duration};

use bytes::Bytes;
use clap::Args;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{AUTHORIZATION, CONTENT_TYPE, RETRY_AFTER, USER_AGENT},
};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error as ClientError, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use outbox::chain;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use crate::{
    output::{self, CliError, UsageError},
    place::{Front, Place},
};

/// How long the API may take to accept a connection.
const ACCEPTS_WITHIN: Duration = Duration::from_secs(5);

/// How long an answer may take. API Gateway answers within 29 s
/// (<https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>, read 2026-11-29).
const ANSWERS_WITHIN: Duration = Duration::from_secs(35);

/// How often a call is made, the first time included.
const TRIES: u32 = 4;

/// The pause before the second try; each further one is twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// The longest pause, whatever the answer asks for.
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// Idle connections are dropped sooner than a load balancer drops them.
const IDLE: Duration = Duration::from_secs(20);

/// The largest answer that is read. Lambda answers with at most 6 MB.
const MAX_ANSWER_BYTES: usize = 8 * 1024 * 1024;

/// The most items of a page.
const PAGE: usize = 100;

/// How to get a key for these verbs.
const NEW_KEY: &str = "`millrace keys create --owner oncall --scopes letters:read,letters:write,replays:write` makes one; put its \
     `key` into API_KEY";

/// Where the API is. The key is API_KEY of the environment or of the file, and never an argument: everyone on the machine
/// can see the arguments of a process.
#[derive(Debug, Args)]
pub(crate) struct ApiPlace {
    #[command(flatten)]
    place: Place,
    /// The URL of the stack's API, the part before /api/v1. Default: that of the stack if an option names one, else
    /// API_URL, else that of the stack
    #[arg(long, value_name = "URL", help_heading = "Which stack", value_parser = url)]
    api_url: Option<String>,
}

/// Where the API is, and who acts.
#[derive(Debug, Args)]
pub(crate) struct Actor {
    #[command(flatten)]
    api: ApiPlace,
    /// Who does this; it is recorded with it, beside the owner of the key. Default: USER
    #[arg(long, value_name = "NAME", value_parser = actor)]
    actor: Option<String>,
}

fn url(text: &str) -> Result<String, String> {
    let text = text.trim_end_matches('/');
    let rest = ["http://", "https://"]
        .iter()
        .find_map(|scheme| text.strip_prefix(scheme));
    match rest {
        Some(rest) if !rest.is_empty() && text.parse::<http::Uri>().is_ok() => Ok(text.to_owned()),
        _ => Err("a URL that begins with http:// or https://".to_owned()),
    }
}

/// Reads a user's name as the API takes it.
fn actor(text: &str) -> Result<String, String> {
    let fits = (1..=256).contains(&text.len())
        && text.trim() == text
        && text.bytes().all(|byte| (b' '..=b'~').contains(&byte));
    fits.then(|| text.to_owned())
        .ok_or_else(|| "1 to 256 visible ASCII characters".to_owned())
}

/// A problem with which the API answered.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Refusal {
    #[serde(skip)]
    status: StatusCode,
    #[serde(rename = "type")]
    kind: String,
    title: String,
    detail: Option<String>,
    violations: Vec<Violation>,
    more_violations: u64,
}

#[derive(Debug, Deserialize)]
struct Violation {
    #[serde(default)]
    pointer: String,
    message: String,
}

impl Refusal {
    /// Reads an answer. One that is no problem, as a proxy may send it, has only its status.
    fn read(status: StatusCode, body: &[u8]) -> Self {
        let refusal = serde_json::from_slice(body).unwrap_or_default();
        Self { status, ..refusal }
    }

    /// The problem's name.
    fn name(&self) -> &str {
        let name = self.kind.rsplit(':').next();
        name.unwrap_or_default()
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = self.detail.as_deref().unwrap_or(&self.title);
        let status = self.status.as_u16();
        match (words, self.name()) {
            ("", _) => write!(f, "the API answered HTTP {status}")?,
            (words, "") => write!(f, "{} (HTTP {status})", clean(words))?,
            (words, name) => write!(f, "{} (HTTP {status}, {})", clean(words), clean(name))?,
        }
        for violation in &self.violations {
            let (pointer, message) = (clean(&violation.pointer), clean(&violation.message));
            let pointer = if pointer.is_empty() { "/" } else { &pointer };
            write!(f, "\n  {pointer}: {message}")?;
        }
        if self.more_violations > 0 {
            write!(f, "\n  and {} more", self.more_violations)?;
        }
        match (self.status, self.name()) {
            (StatusCode::UNAUTHORIZED, _) => {
                write!(f, "\n  API_KEY has no key of this stack: {NEW_KEY}")
            }
            (_, "missing-scope") => write!(f, "\n  The key in API_KEY lacks it: {NEW_KEY}"),
            _ => Ok(()),
        }
    }
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CallError {
    /// The API refused it. Nothing was done.
    #[error("{0}")]
    Refused(Box<Refusal>),
    /// There is no connection. Nothing was done.
    #[error(
        "no connection to {url}: {why}. Check --api-url and API_URL; `make status` says whether a local AWS runs"
    )]
    Unreachable { url: String, why: String },
    /// The answers were lost. A command may have been done.
    #[error("no answer from {url} in {TRIES} tries: {why}")]
    Lost { url: String, why: String },
    /// The answer is not one of this API.
    #[error("the answer of {url} cannot be read: {why}")]
    Unreadable { url: String, why: String },
}

impl CallError {
    /// Whether a command may have been done all the same.
    pub(crate) const fn may_be_done(&self) -> bool {
        matches!(self, Self::Lost { .. } | Self::Unreadable { .. })
    }
}

/// Why a try has no result.
enum Failed {
    /// No further try can succeed.
    Finally(CallError),
    /// There was no connection.
    Unreachable(String),
    /// There is no answer, or one that asks for another try.
    Lost {
        why: String,
        retry_after: Option<Duration>,
    },
}

impl Failed {
    const fn lost(why: String) -> Self {
        Self::Lost {
            why,
            retry_after: None,
        }
    }
}

/// With or without TLS. Without TLS, no root certificates are read, so none need to be installed.
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Connections {
    fn to(url: &str) -> io::Result<Self> {
        let mut http = HttpConnector::new();
        http.set_connect_timeout(Some(ACCEPTS_WITHIN));
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE);
        if !url.starts_with("https://") {
            return Ok(Self::Plain(builder.build(http)));
        }
        http.enforce_http(false);
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
            .https_only()
            .enable_http1()
            .wrap_connector(http);
        Ok(Self::Tls(builder.build(connector)))
    }

    async fn request(
        &self,
        request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

/// A call: the same request in each try.
struct Call {
    method: Method,
    /// Path and query.
    path: String,
    body: String,
    idempotency_key: Option<String>,
}

/// The stack's API.
pub(crate) struct StackApi {
    connections: Connections,
    url: String,
    authorization: HeaderValue,
    actor: Option<String>,
}

impl StackApi {
    /// Finds the API and the key.
    ///
    /// # Errors
    /// As for [`Place::api`]; [`UsageError`] if there is no key.
    pub(crate) async fn open(api: ApiPlace) -> Result<Self, CliError> {
        let front = api.place.api(api.api_url).await?;
        Self::at(front, None)
    }

    /// The same for a verb that changes something: with the user who does it.
    ///
    /// # Errors
    /// As for [`open`](Self::open).
    pub(crate) async fn open_for(by: Actor) -> Result<Self, CliError> {
        let front = by.api.place.api(by.api.api_url).await?;
        let user = front.user.as_deref().and_then(|user| actor(user).ok());
        Self::at(front, by.actor.or(user))
    }

    fn at(front: Front, actor: Option<String>) -> Result<Self, CliError> {
        let url = url(&front.url).map_err(|why| UsageError(format!("API_URL must be {why}")))?;
        let key = front.key.ok_or_else(|| {
            UsageError(format!(
                "no API key: {NEW_KEY}, in the environment. `source .local/env` sets that of a local AWS"
            ))
        })?;
        let authorization = HeaderValue::from_str(&format!("Bearer {key}"));
        let mut authorization = authorization
            .map_err(|_| UsageError("API_KEY has characters that no key has".to_owned()))?;
        authorization.set_sensitive(true);
        Ok(Self {
            connections: Connections::to(&url)?,
            url,
            authorization,
            actor,
        })
    }

    /// Reads something.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn get(
        &self,
        path: &str,
        query: &[(&str, String)],
    ) -> Result<Value, CallError> {
        let mut path = path.to_owned();
        if !query.is_empty() {
            let mut text = form_urlencoded::Serializer::new(String::new());
            text.extend_pairs(query);
            path = format!("{path}?{}", text.finish());
        }
        self.call(&Call {
            method: Method::GET,
            path,
            body: String::new(),
            idempotency_key: None,
        })
        .await
    }

    /// Reads a list page by page, up to a limit. Returns also whether there may be more.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn list(
        &self,
        path: &str,
        query: &[(&str, String)],
        limit: usize,
    ) -> Result<(Vec<Value>, bool), CallError> {
        let mut items = Vec::new();
        let mut cursor = None;
        loop {
            let mut query = query.to_vec();
            let wanted = limit.saturating_sub(items.len()).min(PAGE);
            query.push(("limit", wanted.to_string()));
            query.extend(cursor.take().map(|cursor| ("cursor", cursor)));
            let page: Page = self.read(self.get(path, &query).await?)?;
            items.extend(page.items);
            cursor = page.next_cursor;
            if cursor.is_none() || items.len() >= limit {
                return Ok((items, cursor.is_some()));
            }
        }
    }

    /// Does something once, however often the answer is lost.
    ///
    /// # Errors
    /// [`CallError`].
    pub(crate) async fn command(&self, path: &str, body: &Value) -> Result<Value, CallError> {
        self.call(&Call {
            method: Method::POST,
            path: path.to_owned(),
            body: body.to_string(),
            idempotency_key: Some(format!("millrace-{}", Uuid::new_v4())),
        })
        .await
    }

    /// Reads what is in an answer.
    ///
    /// # Errors
    /// [`CallError::Unreadable`].
    pub(crate) fn read<T: serde::de::DeserializeOwned>(
        &self,
        answer: Value,
    ) -> Result<T, CallError> {
        serde_json::from_value(answer).map_err(|error| self.unreadable(&error))
    }

    fn unreadable(&self, error: &dyn StdError) -> CallError {
        CallError::Unreadable {
            url: self.url.clone(),
            why: error.to_string(),
        }
    }

    async fn call(&self, call: &Call) -> Result<Value, CallError> {
        let (mut pause, mut tries) = (PAUSE, 1);
        loop {
            let (why, retry_after) = match self.once(call).await {
                Ok(answer) => return Ok(answer),
                Err(Failed::Finally(error)) => return Err(error),
                // Before the first answer was lost, nobody has the request.
                Err(Failed::Unreachable(why)) if tries == 1 => {
                    let url = self.url.clone();
                    return Err(CallError::Unreachable { url, why });
                }
                Err(Failed::Unreachable(why)) => (why, None),
                Err(Failed::Lost { why, retry_after }) => (why, retry_after),
            };
            if tries == TRIES {
                let url = self.url.clone();
                return Err(CallError::Lost { url, why });
            }
            output::note(&format!("millrace: no answer yet, trying again: {why}"));
            tokio::time::sleep(retry_after.unwrap_or(pause).min(LONGEST_PAUSE)).await;
            pause *= 2;
            tries += 1;
        }
    }

    async fn once(&self, call: &Call) -> Result<Value, Failed> {
        match tokio::time::timeout(ANSWERS_WITHIN, self.exchange(call)).await {
            Ok(answer) => answer,
            Err(_) => Err(Failed::lost(format!(
                "nothing came within {} s",
                ANSWERS_WITHIN.as_secs()
            ))),
        }
    }

    async fn exchange(&self, call: &Call) -> Result<Value, Failed> {
        let answer = self.connections.request(self.request(call)?).await;
        let answer = answer.map_err(|error| {
            if error.is_connect() {
                Failed::Unreachable(no_connection(&error))
            } else {
                Failed::lost(chain(&error))
            }
        })?;
        let (parts, body) = answer.into_parts();
        let body = Limited::new(body, MAX_ANSWER_BYTES).collect().await;
        let body = body.map_err(|error| Failed::lost(chain(&*error)))?;
        let body = body.to_bytes();
        if parts.status.is_success() {
            let answer = serde_json::from_slice(&body);
            return answer.map_err(|error| Failed::Finally(self.unreadable(&error)));
        }
        let refusal = Refusal::read(parts.status, &body);
        if !parts.status.is_server_error() && parts.status != StatusCode::TOO_MANY_REQUESTS {
            return Err(Failed::Finally(CallError::Refused(Box::new(refusal))));
        }
        let retry_after = parts.headers.get(RETRY_AFTER);
        let seconds = retry_after.and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Failed::Lost {
            why: refusal.to_string(),
            retry_after: seconds.map(Duration::from_secs),
        })
    }

    fn request(&self, call: &Call) -> Result<Request<Full<Bytes>>, Failed> {
        let mut request = Request::builder()
            .method(&call.method)
            .uri(format!("{}{}", self.url, call.path))
            .header(AUTHORIZATION, self.authorization.clone())
            .header(USER_AGENT, concat!("millrace/", env!("CARGO_PKG_VERSION")));
        if let Some(key) = &call.idempotency_key {
            request = request
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", key);
        }
        if let (Some(actor), Some(_)) = (&self.actor, &call.idempotency_key) {
            request = request.header("x-user-id", actor);
        }
        let body = Full::from(call.body.clone());
        // The error names no header, and so not the key.
        let request = request.body(body);
        request.map_err(|error| Failed::Finally(self.unreadable(&error)))
    }
}

#[derive(Deserialize)]
struct Page {
    items: Vec<Value>,
    #[serde(default)]
    next_cursor: Option<String>,
}

/// Why there is no connection, in plain words where there are some.
fn no_connection(error: &(dyn StdError + 'static)) -> String {
    let mut source = Some(error);
    while let Some(inner) = source {
        let io = inner.downcast_ref::<io::Error>();
        if io.is_some_and(|io| io.kind() == io::ErrorKind::ConnectionRefused) {
            return "nothing listens there (connection refused)".to_owned();
        }
        source = inner.source();
    }
    chain(error)
}

/// A text of somebody else on one line, without characters that control a terminal.
pub(crate) fn clean(text: &str) -> String {
    let visible = |c: char| if c.is_control() { ' ' } else { c };
    text.chars().map(visible).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_has_a_scheme_and_no_slash_at_its_end() {
        let given = url("https://a1b2.execute-api.eu-central-1.amazonaws.com/prod/");
        let expected = "https://a1b2.execute-api.eu-central-1.amazonaws.com/prod";
        assert_eq!(given.as_deref(), Ok(expected));
        assert!(url("http://127.0.0.1:4566/restapis/a/local/_user_request_").is_ok());
        for text in ["", "a1b2", "ftp://a", "https://", "https://a b"] {
            assert!(url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_actor_is_what_the_header_can_say() {
        assert_eq!(actor("ada").as_deref(), Ok("ada"));
        assert!(actor("Ada Lovelace").is_ok());
        for text in ["", " ada", "ädä", "a\nb", &"a".repeat(257)] {
            assert!(actor(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_refusal_is_told_with_its_violations() {
        let body = br#"{ "type": "urn:millrace:problem:invalid-request", "title": "The request is not valid", "status": 422,
            "violations": [{ "pointer": "/filter/consumer", "message": "is not a known consumer; did you mean analytics?" },
                           { "pointer": "", "message": "a line\nand \u001b[31mred" }], "more_violations": 3 }"#;
        let refusal = Refusal::read(StatusCode::UNPROCESSABLE_ENTITY, body);
        assert_eq!(
            refusal.to_string(),
            "The request is not valid (HTTP 422, invalid-request)\n  \
             /filter/consumer: is not a known consumer; did you mean analytics?\n  \
             /: a line and  [31mred\n  and 3 more"
        );
    }

    #[test]
    fn a_refusal_for_want_of_a_key_or_a_scope_names_the_way_to_one() {
        let unknown = br#"{ "type": "urn:millrace:problem:unauthorized", "title": "t", "detail": "the key is unknown" }"#;
        let unknown = Refusal::read(StatusCode::UNAUTHORIZED, unknown).to_string();
        let scope = br#"{ "type": "urn:millrace:problem:missing-scope", "detail": "this needs the scope letters:write" }"#;
        let scope = Refusal::read(StatusCode::FORBIDDEN, scope).to_string();
        for text in [&unknown, &scope] {
            assert!(
                text.contains("millrace keys create --owner oncall"),
                "{text}"
            );
        }
        assert!(unknown.starts_with("the key is unknown (HTTP 401, unauthorized)"));
        assert!(scope.starts_with("this needs the scope letters:write (HTTP 403"));
    }

    #[test]
    fn an_answer_that_is_no_problem_is_told_by_its_status() {
        for body in [&b""[..], b"<html>", b"[]", b"{}"] {
            let refusal = Refusal::read(StatusCode::BAD_GATEWAY, body);
            assert_eq!(refusal.to_string(), "the API answered HTTP 502");
        }
    }
}
