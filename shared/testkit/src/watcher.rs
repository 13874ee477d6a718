//! A client of the event stream that behaves like a browser. It reads server-sent events, keeps the id of the last
//! complete frame, and reconnects with that id when its connection is lost. A test can plan where connections are lost.
//!
//! A client is one task and one socket, so a test can run hundreds of them.

use std::{collections::VecDeque, fmt, time::Duration};

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{
    Request, StatusCode,
    body::Incoming,
    client::conn::http1::{SendRequest, handshake},
    header,
};
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::{io::AsyncReadExt as _, net::TcpStream, task::JoinHandle};

use crate::stack::{BoxError, Stack};

/// The stream's path.
pub const STREAM: &str = "/api/v1/events/stream";

/// The pause before a client reconnects when the server did not answer or all places were taken.
const PAUSE: Duration = Duration::from_millis(200);

/// What ends a frame.
const BLANK_LINE: &[u8] = b"\n\n";

/// A frame with an event and data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The position in the feed, if the frame has one.
    pub id: Option<u64>,
    /// An event's type, or `heartbeat`, `gap`, `overrun`.
    pub event: String,
    /// An envelope, or what the stream reports about itself.
    pub data: String,
}

impl Frame {
    /// The frame's data as JSON.
    ///
    /// # Errors
    /// When the data is not JSON.
    pub fn json(&self) -> Result<Value, BoxError> {
        Ok(serde_json::from_str(&self.data)?)
    }

    /// Whether the frame is an event of the feed rather than a report of the stream about itself.
    #[must_use]
    pub fn is_event(&self) -> bool {
        self.event.contains('.')
    }
}

/// When a connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// After this many received bytes, including the head of the response: nearly always in the middle of a frame.
    Bytes(u64),
    /// After this many received complete frames. Bytes that arrived together with the last frame are lost.
    Frames(u32),
}

/// A connection that was lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The last id before the connection was lost.
    pub last: Option<u64>,
    /// Received bytes that were discarded with the connection: the beginning of a frame, or more.
    pub thrown_away: usize,
}

/// A response that is not a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The response's status.
    pub status: StatusCode,
    /// The seconds in `Retry-After`, if the response has it.
    pub retry_after: Option<u64>,
    /// The problem document in the response.
    pub problem: Value,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "the stream was refused with {}: {}",
            self.status, self.problem
        )
    }
}

impl std::error::Error for Refused {}

/// A connection. Dropping it resets the connection at once: no close is sent, and bytes in flight are lost.
struct Line {
    body: Incoming,
    driver: JoinHandle<()>,
    _requests: SendRequest<Empty<Bytes>>,
}

impl Drop for Line {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A client.
pub struct Watcher {
    address: String,
    path: String,
    key: Option<String>,
    last: Option<u64>,
    line: Option<Line>,
    text: Vec<u8>,
    /// `text` has no blank line before this position.
    searched: usize,
    cuts: VecDeque<Cut>,
    frames_left: Option<u32>,
    lost: Vec<Lost>,
    connections: u64,
    is_patient: bool,
}

impl fmt::Debug for Watcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The API key must not appear in debug output.
        f.debug_struct("Watcher")
            .field("last", &self.last)
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Watcher {
    /// A client of the stream beside a stack, with the environment file's API key. `query` is empty or begins with `?`.
    ///
    /// # Errors
    /// When no stream runs beside the stack.
    pub fn of(stack: &Stack, query: &str) -> Result<Self, BoxError> {
        let watcher = Self::new(stack.env("STREAM_URL")?, query)?;
        Ok(watcher.with_key(stack.env("API_KEY")?))
    }

    /// A client without an API key, of a stream at `http://address`.
    ///
    /// # Errors
    /// When the URL does not begin with `http://`.
    pub fn new(url: &str, query: &str) -> Result<Self, BoxError> {
        let address = url
            .strip_prefix("http://")
            .ok_or_else(|| format!("{url} does not begin with http://"))?;
        Ok(Self {
            address: address.trim_end_matches('/').to_owned(),
            path: format!("{STREAM}{query}"),
            key: None,
            last: None,
            line: None,
            text: Vec::new(),
            searched: 0,
            cuts: VecDeque::new(),
            frames_left: None,
            lost: Vec::new(),
            connections: 0,
            is_patient: false,
        })
    }

    /// Sets the API key.
    #[must_use]
    pub fn with_key(mut self, key: &str) -> Self {
        self.key = Some(key.to_owned());
        self
    }

    /// Starts after this position.
    #[must_use]
    pub fn behind(mut self, position: u64) -> Self {
        self.last = Some(position);
        self
    }

    /// Waits for a free place instead of failing when all are taken.
    #[must_use]
    pub fn patient(mut self) -> Self {
        self.is_patient = true;
        self
    }

    /// Plans the losses: one for each connection, in order. Later connections are not cut.
    #[must_use]
    pub fn losing(mut self, cuts: impl IntoIterator<Item = Cut>) -> Self {
        self.cuts.extend(cuts);
        self
    }

    /// The last id that was received.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Connections that were lost, as planned or by themselves.
    #[must_use]
    pub fn lost(&self) -> &[Lost] {
        &self.lost
    }

    /// Connections that were opened.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections
    }

    /// The next frame. Reconnects with the last id each time the connection is lost.
    ///
    /// # Errors
    /// [`Refused`], or a response that cannot be read.
    pub async fn frame(&mut self) -> Result<Frame, BoxError> {
        loop {
            if self.frames_left == Some(0) {
                self.lose();
            }
            if let Some(frame) = self.whole_frame()? {
                return Ok(frame);
            }
            let Some(line) = &mut self.line else {
                self.open().await?;
                continue;
            };
            match line.body.frame().await {
                Some(Ok(piece)) => {
                    if let Some(bytes) = piece.data_ref() {
                        self.text.extend_from_slice(bytes);
                    }
                }
                Some(Err(_)) => self.lose(),
                // The stream ended the response as planned.
                None => self.hang_up(),
            }
        }
    }

    /// The next event of the feed. It is an error if the stream reports a loss.
    ///
    /// # Errors
    /// As [`Self::frame`]; also if the stream reports a gap or an overrun.
    pub async fn event(&mut self) -> Result<Frame, BoxError> {
        loop {
            let frame = self.frame().await?;
            match frame.event.as_str() {
                "heartbeat" => {}
                "gap" | "overrun" => {
                    return Err(format!("{}: {}", frame.event, frame.data).into());
                }
                _ => return Ok(frame),
            }
        }
    }

    /// All events up to a position of the feed. A heartbeat at that position also ends the wait.
    ///
    /// # Errors
    /// As [`Self::event`].
    pub async fn events_to(&mut self, position: u64) -> Result<Vec<Frame>, BoxError> {
        let mut events = Vec::new();
        while self.last.is_none_or(|last| last < position) {
            let frame = self.frame().await?;
            match frame.event.as_str() {
                "heartbeat" => {}
                "gap" | "overrun" => {
                    return Err(format!("{}: {}", frame.event, frame.data).into());
                }
                _ => events.push(frame),
            }
        }
        Ok(events)
    }

    /// Disconnects without notice.
    pub fn hang_up(&mut self) {
        self.line = None;
        self.text.clear();
        self.searched = 0;
        self.frames_left = None;
    }

    fn lose(&mut self) {
        self.lost.push(Lost {
            last: self.last,
            thrown_away: self.text.len(),
        });
        self.hang_up();
    }

    /// The first complete frame with an event and data, if the received bytes contain one.
    fn whole_frame(&mut self) -> Result<Option<Frame>, BoxError> {
        loop {
            let found = self.text[self.searched..]
                .windows(BLANK_LINE.len())
                .position(|two| two == BLANK_LINE);
            let Some(found) = found else {
                self.searched = self.text.len().saturating_sub(1);
                return Ok(None);
            };
            let end = self.searched + found;
            let frame = read(std::str::from_utf8(&self.text[..end])?)?;
            self.text.drain(..end + BLANK_LINE.len());
            self.searched = 0;
            let Some(frame) = frame else { continue };
            self.last = frame.id.or(self.last);
            self.frames_left = self.frames_left.map(|left| left.saturating_sub(1));
            return Ok(Some(frame));
        }
    }

    async fn open(&mut self) -> Result<(), BoxError> {
        let (bytes, frames) = match self.cuts.pop_front() {
            Some(Cut::Bytes(bytes)) => (bytes, None),
            Some(Cut::Frames(frames)) => (u64::MAX, Some(frames)),
            None => (u64::MAX, None),
        };
        let Ok(stream) = TcpStream::connect(&self.address).await else {
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        };
        // With a zero linger, closing the socket resets the connection.
        stream.set_zero_linger()?;
        let (reader, writer) = tokio::io::split(stream);
        let io = TokioIo::new(tokio::io::join(reader.take(bytes), writer));
        let (mut requests, connection) = handshake(io).await?;
        let driver = tokio::spawn(async move {
            // An error of the connection also shows in its response.
            connection.await.ok();
        });
        let mut request = Request::get(&self.path)
            .header(header::HOST, &self.address)
            .header(header::ACCEPT, "text/event-stream");
        if let Some(key) = &self.key {
            request = request.header(header::AUTHORIZATION, format!("Bearer {key}"));
        }
        if let Some(last) = self.last {
            request = request.header("last-event-id", last);
        }
        let sent = requests.send_request(request.body(Empty::new())?).await;
        let Ok(answer) = sent else {
            driver.abort();
            self.lose();
            return Ok(());
        };
        let (status, headers) = (answer.status(), answer.headers().clone());
        let body = answer.into_body();
        if status == StatusCode::OK {
            self.connections += 1;
            self.frames_left = frames;
            self.line = Some(Line {
                body,
                driver,
                _requests: requests,
            });
            return Ok(());
        }
        let collected = body.collect().await;
        driver.abort();
        if self.is_patient && status == StatusCode::TOO_MANY_REQUESTS {
            tokio::time::sleep(PAUSE).await;
            return Ok(());
        }
        let text = collected?.to_bytes();
        let problem = serde_json::from_slice(&text)
            .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&text)));
        let retry_after = headers
            .get(header::RETRY_AFTER)
            .and_then(|value| value.to_str().ok()?.parse().ok());
        Err(Box::new(Refused {
            status,
            retry_after,
            problem,
        }))
    }
}

/// Reads the text between two blank lines, one line for each field. `None` if it has no event or no data.
fn read(block: &str) -> Result<Option<Frame>, BoxError> {
    let field = |name: &str| block.lines().find_map(|line| line.strip_prefix(name));
    let (Some(event), Some(data)) = (field("event: "), field("data: ")) else {
        return Ok(None);
    };
    let id = field("id: ").map(str::parse).transpose()?;
    Ok(Some(Frame {
        id,
        event: event.to_owned(),
        data: data.to_owned(),
    }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use tokio::{
        io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
        net::TcpListener,
    };

    use super::*;

    const HEAD: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";

    /// A stream of positions 1 to 9 that starts after the requested id.
    async fn serve(listener: TcpListener) {
        loop {
            let (mut socket, _) = listener.accept().await.unwrap();
            let (mut last, mut lines) = (0, BufReader::new(&mut socket).lines());
            // A client may be cut off before it has sent its whole request: that is part of the test.
            while let Ok(Some(line)) = lines.next_line().await {
                if line.is_empty() {
                    break;
                }
                if let Some(id) = line.to_lowercase().strip_prefix("last-event-id: ") {
                    last = id.parse().unwrap();
                }
            }
            let frames = (last + 1..=9).map(|position: u64| {
                format!("id: {position}\nevent: a.b\ndata: {{\"n\":{position},\"text\":\"ö\"}}\n\n")
            });
            let mut text = HEAD.to_owned();
            for frame in std::iter::once("retry: 1000\n\n".to_owned()).chain(frames) {
                text += &format!("{:x}\r\n{frame}\r\n", frame.len());
            }
            text += "0\r\n\r\n";
            // A client that is cut off reads only a part.
            socket.write_all(text.as_bytes()).await.ok();
        }
    }

    #[tokio::test]
    async fn what_was_cut_in_half_comes_again_and_nothing_comes_twice() {
        let mut torn = 0;
        for at in 0..400 {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let url = format!("http://{}", listener.local_addr().unwrap());
            let serving = tokio::spawn(serve(listener));
            let cuts = [Cut::Bytes(at), Cut::Frames(2)];
            let mut watcher = Watcher::new(&url, "").unwrap().losing(cuts);
            let seen = watcher.events_to(9).await.unwrap();
            let seen: Vec<u64> = seen.iter().map(|frame| frame.id.unwrap()).collect();
            assert_eq!(seen, (1..=9).collect::<Vec<_>>(), "{at}");
            assert_eq!(watcher.lost().len(), 2, "{at}");
            torn += usize::from(watcher.lost()[0].thrown_away > 0);
            serving.abort();
        }
        assert!(torn > 200, "{torn} were cut in the middle of a frame");
    }
}
