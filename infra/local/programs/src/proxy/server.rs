//! The proxy's server: one task per connection, which handles one request at a time.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use aws_sdk_dynamodb::config::Credentials;
use http_body_util::BodyExt;
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, Uri,
    body::{Bytes, Incoming},
    header::CONTENT_LENGTH,
    http::request,
    server::conn::http1,
    service::service_fn,
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioIo},
};
use serde_json::Value;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};

use super::{
    answers::{Answered, Body, changed, full, json_answer, plain, refused, whole, without_hops},
    control::{CONTROL_PATH, InFlight},
    counts::{Charged, Counts},
    operation::{Operation, caller},
    partial::{Shuffled, Split, items},
    refusals::Refusal,
    reset::{Reset, Resettable},
    rules::{Decision, Kind, Rules},
    sign::signed_anew,
    units::Units,
};
use crate::BoxError;

/// Connections to the service are not reused after this pause. Servers close idle connections, and a call that meets
/// such a close would fail without a rule for it.
const IDLE: Duration = Duration::from_secs(1);

/// A running proxy. Dropping it stops it.
#[derive(Debug)]
pub struct FaultProxy {
    address: SocketAddr,
    serving: JoinHandle<()>,
}

impl FaultProxy {
    /// Listens on an address (port 0: any free one) in front of a service, such as `http://127.0.0.1:4566`. If there
    /// are credentials, calls whose body the proxy changes are signed again with them, because a service that checks
    /// signatures would reject them otherwise.
    ///
    /// # Errors
    /// When the address is taken, or the service's URL is not valid.
    pub async fn start(
        listen: SocketAddr,
        upstream: &str,
        credentials: Option<Credentials>,
    ) -> Result<Self, BoxError> {
        let upstream: Uri = upstream.trim_end_matches('/').parse()?;
        if upstream.scheme_str() != Some("http") || upstream.authority().is_none() {
            return Err(format!("{upstream} is not of the form http://HOST:PORT").into());
        }
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Shared {
            upstream,
            credentials,
            client: Client::builder(TokioExecutor::new())
                .pool_idle_timeout(IDLE)
                .build(HttpConnector::new()),
            rules: Mutex::default(),
            counts: Mutex::default(),
            passed: Mutex::default(),
            in_flight: Mutex::default(),
            next: AtomicU64::new(0),
        });
        let serving = tokio::spawn(accept(listener, state));
        Ok(Self { address, serving })
    }

    /// The endpoint for clients.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The URL of the control calls.
    #[must_use]
    pub fn control_url(&self) -> String {
        format!("{}{CONTROL_PATH}", self.endpoint())
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

struct Shared {
    upstream: Uri,
    credentials: Option<Credentials>,
    client: Client<HttpConnector, Body>,
    rules: Mutex<Numbered>,
    counts: Mutex<Counts>,
    /// Notified when a call of the operation has passed.
    passed: Mutex<HashMap<Operation, Arc<Notify>>>,
    in_flight: Mutex<HashMap<u64, InFlight>>,
    next: AtomicU64,
}

/// The rules, and the number of calls of each operation that they have decided.
#[derive(Default)]
struct Numbered {
    rules: Rules,
    numbers: HashMap<Operation, u64>,
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    let mut connections = tokio::task::JoinSet::new();
    loop {
        // All connections end with the proxy. Connections that have ended are forgotten.
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((stream, peer)) => {
                connections.spawn(connection(stream, peer, Arc::clone(&shared)));
            }
            // Either there are no file descriptors left, or the caller left while waiting: try again after a pause.
            Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
        }
    }
}

async fn connection(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>) {
    // A small response must not wait for more data.
    stream.set_nodelay(true).ok();
    let reset = Arc::new(AtomicBool::new(false));
    let io = Resettable {
        stream,
        reset: Arc::clone(&reset),
    };
    let service = service_fn(|request| {
        let (shared, reset) = (Arc::clone(&shared), Arc::clone(&reset));
        async move {
            let answer = shared.serve(request, peer).await;
            if answer.is_err() {
                reset.store(true, Ordering::Relaxed);
            }
            answer
        }
    });
    // Whatever ends a connection, the caller sees it at its own end.
    http1::Builder::new()
        .serve_connection(TokioIo::new(io), service)
        .await
        .ok();
}

/// A call as it arrived.
struct Call {
    operation: Operation,
    caller: String,
    parts: request::Parts,
    bytes: Bytes,
    json: Value,
}

impl Shared {
    async fn serve(
        &self,
        request: Request<Incoming>,
        peer: SocketAddr,
    ) -> Result<Response<Body>, Reset> {
        let (parts, body) = request.into_parts();
        if let Some(what) = parts.uri.path().strip_prefix(CONTROL_PATH) {
            return self.control(&parts.method, what, body).await;
        }
        let operation = Operation::of(&parts.method, parts.uri.path(), &parts.headers);
        let caller = caller(&parts.headers);
        locked(&self.counts).arrived(&operation, &caller);
        let _under_way = self.under_way(&operation, &caller, peer);
        // A caller that leaves in the middle of its request has made no call.
        let (decision, bytes) = if operation.is_known() {
            let bytes = body.collect().await.map_err(|_| Reset)?.to_bytes();
            (self.decide(&operation, &bytes), bytes)
        } else {
            let decision = self.decide(&operation, b"");
            if decision.fault.is_none() && decision.delay.is_none() {
                return self.stream(&operation, &caller, parts, body).await;
            }
            let bytes = body.collect().await.map_err(|_| Reset)?.to_bytes();
            (decision, bytes)
        };
        let json = serde_json::from_slice(&bytes).unwrap_or_default();
        let call = Call {
            operation,
            caller,
            parts,
            bytes,
            json,
        };
        let answer = self.meet(&call, decision).await;
        if let Some(passed) = locked(&self.passed).get(&call.operation) {
            passed.notify_waiters();
        }
        answer
    }

    /// Carries out the decision about a call.
    async fn meet(&self, call: &Call, mut decision: Decision) -> Result<Response<Body>, Reset> {
        let dice = &mut decision.dice;
        if let Some(span) = decision.delay {
            self.struck(call, Kind::Delay);
            tokio::time::sleep(span).await;
        }
        let operation = &call.operation;
        let Some(kind) = decision.fault else {
            return self.forward(call, call.bytes.clone()).await.map(whole);
        };
        match kind {
            Kind::Delay => {}
            Kind::Error500 => {
                self.struck(call, kind);
                return Ok(refused(Refusal::internal(operation), operation));
            }
            Kind::Error503 => {
                self.struck(call, kind);
                return Ok(refused(Refusal::unavailable(), operation));
            }
            Kind::Throttle => {
                self.struck(call, kind);
                return Ok(refused(Refusal::throttled(operation, dice), operation));
            }
            Kind::TransactionConflict => {
                self.struck(call, kind);
                let items = items(operation, &call.json);
                return Ok(refused(
                    Refusal::conflict(operation, items, dice),
                    operation,
                ));
            }
            Kind::ResetBefore => {
                self.struck(call, kind);
                return Err(Reset);
            }
            Kind::ResetAfter => {
                self.forward(call, call.bytes.clone()).await?;
                self.struck(call, kind);
                return Err(Reset);
            }
            Kind::ErrorAfter => {
                self.forward(call, call.bytes.clone()).await?;
                self.struck(call, kind);
                return Ok(refused(Refusal::internal(operation), operation));
            }
            Kind::TransactionInProgress => {
                if rand::Rng::random_bool(dice, 0.5) {
                    self.forward(call, call.bytes.clone()).await?;
                }
                self.struck(call, kind);
                return Ok(refused(Refusal::in_progress(), operation));
            }
            Kind::PartialFailure | Kind::Unprocessed => {
                if let Some(split) = Split::of(operation, &call.json, dice) {
                    return self.part(call, kind, split).await;
                }
            }
            Kind::DuplicatePublish => {
                let first = self.forward(call, call.bytes.clone()).await?;
                self.struck(call, kind);
                // The caller does not learn the result of the copy.
                self.forward(call, call.bytes.clone()).await.ok();
                return Ok(whole(first));
            }
            Kind::Reorder => return self.late(call, kind, &mut decision).await,
        }
        self.forward(call, call.bytes.clone()).await.map(whole)
    }

    async fn part(&self, call: &Call, kind: Kind, split: Split) -> Result<Response<Body>, Reset> {
        self.struck(call, kind);
        let Some(passing) = &split.passing else {
            return Ok(json_answer(&split.answer(None)));
        };
        let answered = self.forward(call, Bytes::from(passing.to_string())).await?;
        if !answered.parts.status.is_success() {
            return Ok(whole(answered));
        }
        Ok(changed(answered, |answer| split.answer(Some(answer))))
    }

    async fn late(
        &self,
        call: &Call,
        kind: Kind,
        decision: &mut Decision,
    ) -> Result<Response<Body>, Reset> {
        self.struck(call, kind);
        let passed = Arc::clone(
            locked(&self.passed)
                .entry(call.operation.clone())
                .or_default(),
        );
        if tokio::time::timeout(decision.hold, passed.notified())
            .await
            .is_ok()
        {
            locked(&self.counts).overtaken += 1;
        }
        let shuffled = (call.operation.name == "PutEvents")
            .then(|| Shuffled::of(&call.json, &mut decision.dice))
            .flatten();
        let Some(shuffled) = shuffled else {
            return self.forward(call, call.bytes.clone()).await.map(whole);
        };
        let answered = self
            .forward(call, Bytes::from(shuffled.body.to_string()))
            .await?;
        Ok(changed(answered, |answer| shuffled.answer(answer)))
    }

    /// Sends a call to the service and reads the whole response. To the caller, an unreachable service looks as it
    /// would without a proxy.
    async fn forward(&self, call: &Call, bytes: Bytes) -> Result<Answered, Reset> {
        let body: Value = if bytes == call.bytes {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_default()
        };
        let body = if body.is_null() { &call.json } else { &body };
        let answered = self.send(call, bytes).await.map_err(|_| {
            locked(&self.counts).unreachable += 1;
            Reset
        })?;
        let status = answered.parts.status;
        let answer: Value = serde_json::from_slice(&answered.bytes).unwrap_or_default();
        let code = answer["__type"].as_str().unwrap_or_default();
        let charged = if status.is_success() {
            Charged::Done
        } else if code.ends_with("TransactionCanceledException")
            || code.ends_with("ConditionalCheckFailedException")
        {
            Charged::Stopped
        } else {
            Charged::Nothing
        };
        locked(&self.counts).answered(
            &call.operation,
            &call.caller,
            status.as_u16(),
            items(&call.operation, body),
            Units::of(&call.operation, body, &answer),
            charged,
        );
        Ok(answered)
    }

    async fn send(&self, call: &Call, bytes: Bytes) -> Result<Answered, BoxError> {
        let headers = match &self.credentials {
            Some(credentials) if bytes != call.bytes => {
                signed_anew(&call.parts, &bytes, credentials)?
            }
            _ => call.parts.headers.clone(),
        };
        let mut request = self.request(&call.parts, headers, full(bytes))?;
        // The client computes the length of the body, which may differ from the caller's.
        request.headers_mut().remove(CONTENT_LENGTH);
        let (parts, body) = self.client.request(request).await?.into_parts();
        let bytes = body.collect().await?.to_bytes();
        Ok(Answered { parts, bytes })
    }

    /// Bodies that the proxy does not read pass without being collected.
    async fn stream(
        &self,
        operation: &Operation,
        caller: &str,
        parts: request::Parts,
        body: Incoming,
    ) -> Result<Response<Body>, Reset> {
        let unreachable = |_| {
            locked(&self.counts).unreachable += 1;
            Reset
        };
        let headers = parts.headers.clone();
        let request = self
            .request(&parts, headers, body.boxed())
            .map_err(unreachable)?;
        let answer = self.client.request(request).await;
        let (mut parts, body) = answer
            .map_err(|error| unreachable(error.into()))?
            .into_parts();
        locked(&self.counts).answered(
            operation,
            caller,
            parts.status.as_u16(),
            1,
            Units::default(),
            Charged::Nothing,
        );
        without_hops(&mut parts.headers);
        Ok(Response::from_parts(parts, body.boxed()))
    }

    fn request(
        &self,
        parts: &request::Parts,
        headers: HeaderMap,
        body: Body,
    ) -> Result<Request<Body>, BoxError> {
        let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
        let mut request = Request::builder()
            .method(parts.method.clone())
            .uri(format!(
                "{}{path}",
                self.upstream.to_string().trim_end_matches('/')
            ))
            .body(body)?;
        // The host header is kept too, because the caller's signature covers it.
        *request.headers_mut() = headers;
        without_hops(request.headers_mut());
        Ok(request)
    }

    fn decide(&self, operation: &Operation, body: &[u8]) -> Decision {
        let mut numbered = locked(&self.rules);
        let number = numbered.numbers.entry(operation.clone()).or_default();
        let this = *number;
        *number += 1;
        numbered.rules.decide(operation, body, this)
    }

    fn struck(&self, call: &Call, kind: Kind) {
        locked(&self.counts).struck(&call.operation, &call.caller, kind);
    }

    fn under_way(&self, operation: &Operation, caller: &str, peer: SocketAddr) -> UnderWay<'_> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let call = InFlight {
            operation: operation.to_string(),
            caller: caller.to_owned(),
            peer,
        };
        locked(&self.in_flight).insert(id, call);
        UnderWay { shared: self, id }
    }

    async fn control(
        &self,
        method: &Method,
        what: &str,
        body: Incoming,
    ) -> Result<Response<Body>, Reset> {
        let shown = |value: Result<Value, serde_json::Error>| {
            Ok(json_answer(
                &value.unwrap_or_else(|error| error.to_string().into()),
            ))
        };
        match (method.as_str(), what) {
            ("GET", "/health") => shown(Ok(serde_json::json!({
                "status": "ok", "upstream": self.upstream.to_string()
            }))),
            ("GET", "/rules") => shown(serde_json::to_value(&locked(&self.rules).rules)),
            ("GET", "/counts") => shown(serde_json::to_value(&*locked(&self.counts))),
            ("GET", "/in-flight") => {
                let calls: Vec<InFlight> = locked(&self.in_flight).values().cloned().collect();
                shown(serde_json::to_value(calls))
            }
            ("POST", "/reset") => {
                *locked(&self.counts) = Counts::default();
                Ok(plain(StatusCode::NO_CONTENT, String::new()))
            }
            ("PUT", "/rules") => {
                let bytes = body.collect().await.map_err(|_| Reset)?.to_bytes();
                let read = serde_json::from_slice::<Rules>(&bytes).map_err(|e| e.to_string());
                let rules = match read.and_then(|rules| rules.check().map(|()| rules)) {
                    Ok(rules) => rules,
                    Err(why) => return Ok(plain(StatusCode::BAD_REQUEST, why)),
                };
                *locked(&self.rules) = Numbered {
                    rules,
                    numbers: HashMap::new(),
                };
                Ok(plain(StatusCode::NO_CONTENT, String::new()))
            }
            _ => Ok(plain(
                StatusCode::NOT_FOUND,
                format!("no {method} {CONTROL_PATH}{what}"),
            )),
        }
    }
}

/// Removes the call from the list when it is over, however it ends.
struct UnderWay<'a> {
    shared: &'a Shared,
    id: u64,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        locked(&self.shared.in_flight).remove(&self.id);
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What the mutex protects is still valid after a panic in another thread.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
