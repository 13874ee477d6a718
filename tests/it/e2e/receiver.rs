//! A server with endpoints of every kind, on the loopback interface: what partners have to whom events are sent.

use std::sync::{Arc, Mutex};

use http::HeaderMap;
use reqwest::StatusCode;
use serde_json::{Value, json};
use testkit::stack::Stack;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
    time::{Duration, Instant},
};

use super::{Result, post};

pub(crate) const WEBHOOKS: &str = "/api/v1/webhooks";

/// How long the endpoint that hangs keeps a request: longer than an attempt may last.
const HANGS: Duration = Duration::from_secs(25);

/// The answer to what an endpoint takes.
const TAKEN: &str = "204 No Content";

/// Of so many events an endpoint with trouble refuses one at first, and gives no answer to another one that it took.
const TROUBLE: u64 = 10;

/// A request to an endpoint.
#[derive(Debug, Clone)]
pub(crate) struct Got {
    path: String,
    pub(crate) id: String,
    headers: HeaderMap,
    pub(crate) body: String,
    pub(crate) at: Instant,
    /// Whether the endpoint has what it was sent, whether or not it could say so.
    pub(crate) is_taken: bool,
}

impl Got {
    /// Checks the request as a receiver does, by the published library, which takes what was signed within five minutes.
    pub(crate) fn is_signed_by(&self, secret: &str) -> bool {
        let verifier = standardwebhooks::Webhook::new(secret);
        verifier.is_ok_and(|verifier| verifier.verify(self.body.as_bytes(), &self.headers).is_ok())
    }

    /// Whether one of the request's signatures is by this secret, however long ago it came: the library signs it again.
    pub(crate) fn was_signed_by(&self, secret: &str) -> bool {
        let text = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        let at = text("webhook-timestamp").and_then(|at| at.parse().ok());
        let (Some(at), Ok(signer)) = (at, standardwebhooks::Webhook::new(secret)) else {
            return false;
        };
        let ours = signer.sign(&self.id, at, self.body.as_bytes());
        let signatures = text("webhook-signature").unwrap_or_default();
        ours.is_ok_and(|ours| signatures.split(' ').any(|one| one == ours))
    }
}

/// The server. Its endpoints are paths: `hang`, `flaky`, `busy`, `gone`, `redirect`, `trouble`; any other one takes everything.
pub(crate) struct Receiver {
    port: u16,
    got: Arc<Mutex<Vec<Got>>>,
    serving: JoinHandle<()>,
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Receiver {
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let port = listener.local_addr()?.port();
        let got = Arc::new(Mutex::new(Vec::new()));
        let noting = Arc::clone(&got);
        let serving = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => drop(tokio::spawn(serve(stream, port, Arc::clone(&noting)))),
                    // A connection that was given up meanwhile, or too many files for a moment.
                    Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
                }
            }
        });
        Ok(Self { port, got, serving })
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}/{path}", self.port)
    }

    /// The requests to a path, in the order in which they came.
    pub(crate) fn got(&self, path: &str) -> Vec<Got> {
        let got = self.got.lock().map(|got| got.clone()).unwrap_or_default();
        got.into_iter().filter(|one| one.path == path).collect()
    }
}

/// What an endpoint does with a request.
struct Answer {
    /// `None`: the connection is closed without one.
    status: Option<&'static str>,
    headers: String,
    after: Duration,
    is_taken: bool,
}

/// What the endpoint of a path does with a message that it was sent `before` times.
fn answer(path: &str, id: &str, before: usize, port: u16) -> Answer {
    let refused = |status| (Some(status), String::new());
    let fate = id.bytes().map(u64::from).sum::<u64>() % TROUBLE;
    let (status, headers) = match (path, before) {
        ("flaky", 0) => refused("500 Internal Server Error"),
        ("trouble", 0) if fate == 0 => refused("503 Service Unavailable"),
        ("trouble", 0) if fate == 1 => (None, String::new()),
        ("busy", 0) => (
            Some("429 Too Many Requests"),
            "Retry-After: 9\r\n".to_owned(),
        ),
        ("gone", _) => refused("410 Gone"),
        ("redirect", _) => (
            Some("302 Found"),
            format!("Location: http://127.0.0.1:{port}/trap\r\n"),
        ),
        _ => (Some(TAKEN), String::new()),
    };
    Answer {
        status,
        headers,
        after: if path == "hang" {
            HANGS
        } else {
            Duration::ZERO
        },
        is_taken: status.is_none_or(|status| status == TAKEN),
    }
}

/// Reads one request, notes it, and answers as its path says.
async fn serve(stream: TcpStream, port: u16, noting: Arc<Mutex<Vec<Got>>>) -> Result {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).await?;
    let path = line.split(' ').nth(1).unwrap_or_default();
    let path = path.trim_start_matches('/').to_owned();
    let mut headers = HeaderMap::new();
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).await?;
        let Some((name, value)) = header.trim_end().split_once(": ") else {
            break;
        };
        let name: http::HeaderName = name.parse()?;
        headers.insert(name, value.parse()?);
    }
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let length = text("content-length").unwrap_or("0").parse()?;
    let id = text("webhook-id").unwrap_or_default().to_owned();
    let mut body = vec![0; length];
    reader.read_exact(&mut body).await?;
    let answer = {
        let mut noted = noting.lock().map_err(|_| "poisoned")?;
        let same = |one: &&Got| one.path == path && one.id == id;
        let answer = answer(&path, &id, noted.iter().filter(same).count(), port);
        noted.push(Got {
            path,
            id,
            headers,
            body: String::from_utf8(body)?,
            at: Instant::now(),
            is_taken: answer.is_taken,
        });
        answer
    };
    tokio::time::sleep(answer.after).await;
    let Some(status) = answer.status else {
        return Ok(());
    };
    let head = format!(
        "HTTP/1.1 {status}\r\n{}Content-Length: 0\r\nConnection: close\r\n\r\n",
        answer.headers
    );
    reader.get_mut().write_all(head.as_bytes()).await?;
    Ok(())
}

/// An endpoint as Millrace knows it.
#[derive(Debug)]
pub(crate) struct Endpoint {
    pub(crate) id: String,
    pub(crate) secret: String,
}

/// Sets up an endpoint at this URL that is sent what `selection` says.
pub(crate) async fn set_up(stack: &Stack, url: &str, selection: &Value) -> Result<Endpoint> {
    let mut body = selection.clone();
    body["url"] = json!(url);
    let made = post(stack, WEBHOOKS, &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let text = |value: &Value| value.as_str().map(str::to_owned);
    Ok(Endpoint {
        id: text(&made["webhook"]["webhook_id"]).ok_or("no id")?,
        secret: text(&made["secret"]).ok_or("no secret")?,
    })
}

/// How an endpoint stands.
pub(crate) async fn shown(stack: &Stack, id: &str) -> Result<Value> {
    stack.get(&format!("{WEBHOOKS}/{id}")).await
}

/// Removes an endpoint: it is sent nothing any more.
pub(crate) async fn remove(stack: &Stack, id: &str) -> Result {
    let path = format!("{WEBHOOKS}/{id}/remove");
    post(stack, &path, &json!({}))
        .await?
        .expect(StatusCode::OK)?;
    Ok(())
}
