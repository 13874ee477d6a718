//! A small HTTP server on the loopback address that also answers as no library's server would.

use std::{
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{Arc, Mutex, MutexGuard},
};

use async_trait::async_trait;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};
use tokio_rustls::TlsAcceptor;
use webhook::Lookup;

/// What the server has seen.
#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

/// A running server. Dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    port: u16,
    seen: Arc<Mutex<Seen>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// Answers every request with these bytes and closes the connection.
    pub(crate) async fn answering(answer: impl Into<Vec<u8>>) -> Self {
        Self::start(Answering::new(answer, End::Close)).await
    }

    /// Answers every request with these bytes and keeps the connection open.
    pub(crate) async fn holding(answer: impl Into<Vec<u8>>) -> Self {
        Self::start(Answering::new(answer, End::Hold)).await
    }

    /// Answers every request with these bytes behind TLS and closes the connection.
    pub(crate) async fn answering_by_tls(answer: &str, tls: TlsAcceptor) -> Self {
        let mut answering = Answering::new(answer, End::Close);
        answering.tls = Some(tls);
        Self::start(answering).await
    }

    async fn start(answering: Answering) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .expect("a free port");
        let port = listener.local_addr().expect("an address").port();
        let seen = Arc::<Mutex<Seen>>::default();
        let accepting = tokio::spawn({
            let seen = Arc::clone(&seen);
            async move {
                while let Ok((stream, _)) = listener.accept().await {
                    lock(&seen).connections += 1;
                    let (seen, answering) = (Arc::clone(&seen), answering.clone());
                    tokio::spawn(async move {
                        // A client that ends a connection early is part of the tests.
                        answering.serve(stream, &seen).await.unwrap_or_default();
                    });
                }
            }
        });
        Self {
            port,
            seen,
            accepting,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/hook", self.port)
    }

    pub(crate) fn requests(&self) -> Vec<String> {
        lock(&self.seen).requests.clone()
    }

    /// How many connections were made. Connections are accepted in their order, so an own one comes after all others.
    pub(crate) async fn connections(&self) -> usize {
        let mut own = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port))
            .await
            .expect("connects");
        own.write_all(b"GET / HTTP/1.1\r\n\r\n")
            .await
            .expect("writes");
        let mut answer = Vec::new();
        own.read_to_end(&mut answer).await.expect("reads");
        lock(&self.seen).connections - 1
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

fn lock(seen: &Mutex<Seen>) -> MutexGuard<'_, Seen> {
    seen.lock().expect("no thread panicked")
}

/// What follows an answer.
#[derive(Debug, Clone, Copy)]
enum End {
    Close,
    Hold,
}

/// How a server answers.
#[derive(Clone)]
struct Answering {
    answer: Arc<[u8]>,
    end: End,
    tls: Option<TlsAcceptor>,
}

impl Answering {
    fn new(answer: impl Into<Vec<u8>>, end: End) -> Self {
        Self {
            answer: answer.into().into(),
            end,
            tls: None,
        }
    }

    async fn serve(&self, stream: TcpStream, seen: &Mutex<Seen>) -> io::Result<()> {
        match &self.tls {
            None => self.exchange(stream, seen).await,
            Some(tls) => self.exchange(tls.accept(stream).await?, seen).await,
        }
    }

    async fn exchange(
        &self,
        mut stream: impl AsyncRead + AsyncWrite + Unpin,
        seen: &Mutex<Seen>,
    ) -> io::Result<()> {
        let mut request = String::new();
        while !is_whole(&request) {
            let mut bytes = [0; 4_096];
            let count = stream.read(&mut bytes).await?;
            if count == 0 {
                return Ok(());
            }
            request.push_str(&String::from_utf8_lossy(&bytes[..count]));
        }
        lock(seen).requests.push(request);
        stream.write_all(&self.answer).await?;
        match self.end {
            End::Close => stream.shutdown().await,
            End::Hold => std::future::pending().await,
        }
    }
}

fn is_whole(request: &str) -> bool {
    let Some((head, body)) = request.split_once("\r\n\r\n") else {
        return false;
    };
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "))
        .map_or(0, |length| length.parse().expect("a length"));
    body.len() >= length
}

/// A lookup that gives the next of its answers each time, and the last one again and again.
#[derive(Debug)]
pub(crate) struct Turns {
    answers: Vec<Vec<IpAddr>>,
    asked: Mutex<Vec<String>>,
}

impl Turns {
    pub(crate) fn new(answers: &[&[&str]]) -> Arc<Self> {
        let ip = |text: &&str| text.parse().expect("an address");
        let answers = answers.iter().map(|turn| turn.iter().map(ip).collect());
        Arc::new(Self {
            answers: answers.collect(),
            asked: Mutex::default(),
        })
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().expect("no thread panicked").clone()
    }
}

#[async_trait]
impl Lookup for Turns {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        let mut asked = self.asked.lock().expect("no thread panicked");
        asked.push(name.to_owned());
        let turn = self.answers.get(asked.len() - 1).or(self.answers.last());
        turn.cloned()
            .ok_or_else(|| io::Error::other("no such name"))
    }
}
