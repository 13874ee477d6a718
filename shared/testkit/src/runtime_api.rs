//! The Lambda Runtime API on the loopback address, for one bootstrap. It hands out invocations, takes the responses and
//! enforces the time limits (<https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html>, read 2026-11-21).
//!
//! A response arrives in parts as the function writes it, so a test sees a streamed response while it is being made;
//! [`RuntimeApi::invoke`] waits for the whole response.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    HeaderMap, Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE,
};
use tokio::sync::{mpsc, watch};
use uuid::Uuid;

use crate::loopback::{Loopback, Reply};

const PREFIX: &str = "/2018-06-01/runtime/";
const FUNCTION_ARN: &str = "arn:aws:lambda:us-east-1:000000000000:function:bench";

/// How long to wait for an invocation beyond its own time limit.
const GRACE: Duration = Duration::from_secs(5);

/// Why there is no response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoAnswer {
    /// The bootstrap did not ask for work in time.
    NotReady,
    /// The bootstrap reported that it cannot start, in these words.
    Init(String),
    /// The bootstrap did not respond in time, whether or not it took the invocation.
    Late,
    /// The response broke off in the middle.
    Broken(String),
}

impl std::fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotReady => f.write_str("the bootstrap did not ask for work in time"),
            Self::Init(error) => write!(f, "the bootstrap cannot start: {error}"),
            Self::Late => f.write_str("the bootstrap did not answer in time"),
            Self::Broken(error) => write!(f, "the answer broke off: {error}"),
        }
    }
}

impl std::error::Error for NoAnswer {}

/// The path on which a function responded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `…/response`.
    Response,
    /// `…/error`.
    Error,
}

/// A part of a response, as it arrived.
#[derive(Debug)]
pub enum Part {
    /// Bytes of the body.
    Data(Bytes),
    /// What follows the body. A streaming function reports an error in mid-stream here.
    Trailers(HeaderMap),
    /// The connection ended before the response was complete.
    Broken(String),
}

/// A response that has begun.
#[derive(Debug)]
pub struct Answer {
    /// Whether this is a response or an error.
    pub kind: Kind,
    /// The request's headers, such as `lambda-runtime-function-response-mode`.
    pub headers: HeaderMap,
    /// When the invocation was handed out.
    pub handed_out: Instant,
    /// When the response began.
    pub began: Instant,
    parts: mpsc::UnboundedReceiver<(Instant, Part)>,
}

impl Answer {
    /// The next part and when it arrived; `None` at the end.
    pub async fn part(&mut self) -> Option<(Instant, Part)> {
        self.parts.recv().await
    }
}

/// A whole response.
#[derive(Debug)]
pub struct Whole {
    /// Whether this is a response or an error.
    pub kind: Kind,
    /// The request's headers.
    pub headers: HeaderMap,
    /// The response's body.
    pub body: Vec<u8>,
    /// The trailers after the body.
    pub trailers: Option<HeaderMap>,
    /// The time from handing out the invocation to the end of the response.
    pub took: Duration,
}

struct WaitingInvocation {
    body: Bytes,
    timeout: Duration,
    answer: mpsc::UnboundedSender<Answer>,
}

struct Open {
    handed_out: Instant,
    answer: mpsc::UnboundedSender<Answer>,
}

#[derive(Debug, Clone, Default)]
enum Started {
    #[default]
    NotYet,
    At(Instant),
    Failed(String),
}

struct Shared {
    waiting: tokio::sync::Mutex<mpsc::UnboundedReceiver<WaitingInvocation>>,
    open: Mutex<HashMap<String, Open>>,
    started: watch::Sender<Started>,
}

/// The running server. Dropping this stops it.
pub struct RuntimeApi {
    server: Loopback,
    queue: mpsc::UnboundedSender<WaitingInvocation>,
    shared: Arc<Shared>,
}

impl std::fmt::Debug for RuntimeApi {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RuntimeApi")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

impl RuntimeApi {
    /// Starts the server on a free port; its thread runs on `core`, if one is given.
    ///
    /// # Errors
    /// When no port or thread is available.
    pub fn start(core: Option<usize>) -> io::Result<Self> {
        let (queue, waiting) = mpsc::unbounded_channel();
        let shared = Arc::new(Shared {
            waiting: tokio::sync::Mutex::new(waiting),
            open: Mutex::new(HashMap::new()),
            started: watch::Sender::new(Started::default()),
        });
        let own = Arc::clone(&shared);
        let server = Loopback::serve("runtime-api", core, move |request| {
            let shared = Arc::clone(&own);
            async move { answer(&shared, request).await }
        })?;
        Ok(Self {
            server,
            queue,
            shared,
        })
    }

    /// The environment a bootstrap needs to find this server and to behave as on Lambda.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_LAMBDA_RUNTIME_API", self.server.address().to_string()),
            ("AWS_LAMBDA_FUNCTION_NAME", "bench".to_owned()),
            ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256".to_owned()),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/bench".to_owned()),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "bench".to_owned()),
            ("_HANDLER", "bootstrap".to_owned()),
        ]
    }

    /// When the bootstrap first asked for work.
    ///
    /// # Errors
    /// [`NoAnswer::NotReady`] or [`NoAnswer::Init`].
    pub async fn ready(&self, at_most: Duration) -> Result<Instant, NoAnswer> {
        let mut started = self.shared.started.subscribe();
        let waited = tokio::time::timeout(
            at_most,
            started.wait_for(|now| !matches!(now, Started::NotYet)),
        );
        match waited.await.map(|seen| seen.map(|seen| seen.clone())) {
            Ok(Ok(Started::At(moment))) => Ok(moment),
            Ok(Ok(Started::Failed(error))) => Err(NoAnswer::Init(error)),
            Ok(Ok(Started::NotYet) | Err(_)) | Err(_) => Err(NoAnswer::NotReady),
        }
    }

    /// Hands out an invocation with a time limit. Returns when the response begins.
    ///
    /// # Errors
    /// [`NoAnswer::Late`].
    pub async fn begin(
        &self,
        body: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Answer, NoAnswer> {
        let (answer, mut answered) = mpsc::unbounded_channel();
        let waiting = WaitingInvocation {
            body: body.into(),
            timeout,
            answer,
        };
        self.queue.send(waiting).map_err(|_| NoAnswer::Late)?;
        match tokio::time::timeout(timeout + GRACE, answered.recv()).await {
            Ok(Some(answer)) => Ok(answer),
            Ok(None) | Err(_) => Err(NoAnswer::Late),
        }
    }

    /// Hands out an invocation and waits for the whole response.
    ///
    /// # Errors
    /// [`NoAnswer::Late`] or [`NoAnswer::Broken`].
    pub async fn invoke(
        &self,
        body: impl Into<Bytes>,
        timeout: Duration,
    ) -> Result<Whole, NoAnswer> {
        let mut answer = self.begin(body, timeout).await?;
        let (mut body, mut trailers, mut ended) = (Vec::new(), None, answer.began);
        let whole = async {
            while let Some((moment, part)) = answer.part().await {
                ended = moment;
                match part {
                    Part::Data(data) => body.extend_from_slice(&data),
                    Part::Trailers(headers) => trailers = Some(headers),
                    Part::Broken(error) => return Err(NoAnswer::Broken(error)),
                }
            }
            Ok(())
        };
        tokio::time::timeout(timeout + GRACE, whole)
            .await
            .map_err(|_| NoAnswer::Late)??;
        Ok(Whole {
            kind: answer.kind,
            headers: answer.headers,
            body,
            trailers,
            took: ended.duration_since(answer.handed_out),
        })
    }
}

async fn answer(shared: &Shared, request: Request<Incoming>) -> Reply {
    let path = request.uri().path().to_owned();
    let Some(rest) = path.strip_prefix(PREFIX) else {
        return reply(StatusCode::NOT_FOUND);
    };
    if (request.method(), rest) == (&Method::GET, "invocation/next") {
        return next(shared).await;
    }
    if request.method() != Method::POST {
        return reply(StatusCode::METHOD_NOT_ALLOWED);
    }
    if rest == "init/error" {
        let text = match request.into_body().collect().await {
            Ok(body) => String::from_utf8_lossy(&body.to_bytes()).into_owned(),
            Err(error) => error.to_string(),
        };
        shared.started.send_replace(Started::Failed(text));
        return reply(StatusCode::ACCEPTED);
    }
    let mut segments = rest.split('/');
    let kind = match (segments.next(), segments.next(), segments.next()) {
        (Some("invocation"), Some(id), Some("response")) => Some((id, Kind::Response)),
        (Some("invocation"), Some(id), Some("error")) => Some((id, Kind::Error)),
        _ => None,
    };
    match kind {
        Some((id, kind)) => take(shared, id, kind, request).await,
        None => reply(StatusCode::NOT_FOUND),
    }
}

async fn next(shared: &Shared) -> Reply {
    shared.started.send_if_modified(|started| {
        let first = matches!(started, Started::NotYet);
        if first {
            *started = Started::At(Instant::now());
        }
        first
    });
    let Some(waiting) = shared.waiting.lock().await.recv().await else {
        // The server is stopping, and so is the bootstrap.
        return reply(StatusCode::SERVICE_UNAVAILABLE);
    };
    let id = Uuid::new_v4().to_string();
    let deadline = SystemTime::now() + waiting.timeout;
    let deadline = deadline
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .as_millis();
    let trace = Uuid::new_v4().simple().to_string();
    let answer = Response::builder()
        .header(CONTENT_TYPE, "application/json")
        .header("Lambda-Runtime-Aws-Request-Id", &id)
        .header("Lambda-Runtime-Deadline-Ms", deadline.to_string())
        .header("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN)
        .header(
            "Lambda-Runtime-Trace-Id",
            format!(
                "Root=1-{}-{};Parent={};Sampled=0",
                &trace[..8],
                &trace[8..32],
                &trace[..16]
            ),
        )
        .body(Full::new(waiting.body))
        .unwrap_or_else(|_| reply(StatusCode::INTERNAL_SERVER_ERROR));
    let open = Open {
        handed_out: Instant::now(),
        answer: waiting.answer,
    };
    shared
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .insert(id, open);
    answer
}

async fn take(shared: &Shared, id: &str, kind: Kind, request: Request<Incoming>) -> Reply {
    let open = shared
        .open
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .remove(id);
    let Some(open) = open else {
        return reply(StatusCode::BAD_REQUEST);
    };
    let (head, mut body) = request.into_parts();
    let (parts, received) = mpsc::unbounded_channel();
    let begun = Answer {
        kind,
        headers: head.headers,
        handed_out: open.handed_out,
        began: Instant::now(),
        parts: received,
    };
    // A caller that no longer waits for the response does not need its parts either. The bootstrap continues anyway.
    open.answer.send(begun).ok();
    while let Some(frame) = body.frame().await {
        let part = match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => Part::Data(data),
            Ok(Err(frame)) => match frame.into_trailers() {
                Ok(trailers) => Part::Trailers(trailers),
                Err(_) => continue,
            },
            Err(error) => Part::Broken(error.to_string()),
        };
        parts.send((Instant::now(), part)).ok();
    }
    reply(StatusCode::ACCEPTED)
}

fn reply(status: StatusCode) -> Reply {
    let mut answer = Response::new(Full::new(Bytes::from_static(b"{}")));
    *answer.status_mut() = status;
    answer
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    fn base(api: &RuntimeApi) -> String {
        format!("http://{}{PREFIX}", api.server.address())
    }

    async fn next_id(api: &RuntimeApi) -> (String, HashMap<String, String>, String) {
        let answer = reqwest::get(format!("{}invocation/next", base(api)))
            .await
            .unwrap();
        let headers: HashMap<String, String> = answer
            .headers()
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()))
            .collect();
        let id = headers["lambda-runtime-aws-request-id"].clone();
        (id, headers, answer.text().await.unwrap())
    }

    #[tokio::test]
    async fn an_invocation_goes_out_with_lambdas_headers_and_its_answer_comes_back() {
        let api = RuntimeApi::start(None).unwrap();
        let function = async {
            let (id, headers, body) = next_id(&api).await;
            assert_eq!(body, "{\"a\":1}");
            assert!(
                headers["lambda-runtime-deadline-ms"]
                    .parse::<u64>()
                    .unwrap()
                    > 0
            );
            assert!(headers["lambda-runtime-trace-id"].starts_with("Root=1-"));
            assert!(headers.contains_key("lambda-runtime-invoked-function-arn"));
            let answered = reqwest::Client::new()
                .post(format!("{}invocation/{id}/response", base(&api)))
                .body("done")
                .send()
                .await
                .unwrap();
            assert_eq!(answered.status(), 202);
        };
        let (whole, ()) = tokio::join!(api.invoke("{\"a\":1}", LIMIT), function);
        let whole = whole.unwrap();
        assert_eq!((whole.kind, whole.body), (Kind::Response, b"done".to_vec()));
        assert!(api.ready(LIMIT).await.is_ok());
    }

    #[tokio::test]
    async fn a_function_that_cannot_start_is_told_in_its_own_words() {
        let api = RuntimeApi::start(None).unwrap();
        let client = reqwest::Client::new();
        let response = client
            .post(format!("{}init/error", base(&api)))
            .body("no table")
            .send();
        assert_eq!(response.await.unwrap().status(), 202);
        assert_eq!(
            api.ready(LIMIT).await.unwrap_err(),
            NoAnswer::Init("no table".into())
        );
    }

    /// Sends the head of a streamed response and its first part. The caller sends the rest.
    async fn streaming(api: &RuntimeApi) -> tokio::net::TcpStream {
        let (id, _, _) = next_id(api).await;
        let mut stream = tokio::net::TcpStream::connect(api.server.address())
            .await
            .unwrap();
        let head = format!(
            "POST {PREFIX}invocation/{id}/response HTTP/1.1\r\nHost: lambda\r\nTransfer-Encoding: chunked\r\n\
             Trailer: Lambda-Runtime-Function-Error-Type\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n\r\n\
             3\r\none\r\n"
        );
        stream.write_all(head.as_bytes()).await.unwrap();
        stream
    }

    #[tokio::test]
    async fn a_streamed_answer_is_seen_part_by_part_with_its_trailers() {
        let api = RuntimeApi::start(None).unwrap();
        let (answer, mut stream) = tokio::join!(api.begin("{}", LIMIT), streaming(&api));
        let mut answer = answer.unwrap();
        assert_eq!(
            answer.headers["lambda-runtime-function-response-mode"],
            "streaming"
        );
        // The first part is here although the second one has not been sent.
        let (_, first) = answer.part().await.unwrap();
        assert!(matches!(first, Part::Data(data) if data == "one"));
        let rest = b"3\r\ntwo\r\n0\r\nLambda-Runtime-Function-Error-Type: Broken\r\n\r\n";
        stream.write_all(rest).await.unwrap();
        let (_, second) = answer.part().await.unwrap();
        assert!(matches!(second, Part::Data(data) if data == "two"));
        let (_, last) = answer.part().await.unwrap();
        assert!(matches!(last, Part::Trailers(trailers)
            if trailers["lambda-runtime-function-error-type"] == "Broken"));
        assert!(answer.part().await.is_none());
        let mut reply = [0; 12];
        stream.read_exact(&mut reply).await.unwrap();
        assert_eq!(&reply, b"HTTP/1.1 202");
    }

    #[tokio::test]
    async fn a_function_that_dies_in_the_middle_leaves_a_broken_answer() {
        let api = RuntimeApi::start(None).unwrap();
        let dying = async { drop(streaming(&api).await) };
        let (whole, ()) = tokio::join!(api.invoke("{}", LIMIT), dying);
        assert!(matches!(whole.unwrap_err(), NoAnswer::Broken(_)));
    }
}
