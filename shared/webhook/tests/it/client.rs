//! What the client makes of the answers that an endpoint can give, and which connections it does not make.

use std::{
    io,
    net::IpAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue};
use tokio::net::TcpListener;
use webhook::{
    Allowed, Answer, Authorities, Client, ClientSettings, Lookup, ResolveError, Rules, Secret,
    Target, Verdict, signed_headers, verdict,
};

use crate::server::{Server, Turns};

/// Rules that also allow the loopback address, without TLS.
fn with_loopback() -> Rules {
    Rules {
        allowed: Allowed::public().and(["127.0.0.0/8"]).expect("networks"),
        ports: (1..=u16::MAX).collect(),
    }
}

/// Rules that allow public addresses only, at any port.
fn public() -> Rules {
    Rules {
        allowed: Allowed::public(),
        ..with_loopback()
    }
}

pub(crate) fn settings(rules: Rules) -> ClientSettings {
    ClientSettings {
        authorities: Authorities::Only(Vec::new()),
        ..ClientSettings::new(rules)
    }
}

pub(crate) fn client(rules: Rules, lookup: Arc<Turns>) -> Client {
    Client::with_lookup(settings(rules), lookup).expect("a client")
}

pub(crate) async fn post(client: &Client, target: &Target) -> Answer {
    let secrets = [Secret::new([7; 32])];
    let headers = signed_headers("evt_1", 1_700_000_000, b"{}", &secrets).expect("signs");
    client
        .post(target, headers, Bytes::from_static(b"{}"))
        .await
}

/// The answer of a server that is called by its address.
async fn answer_of(server: &Server) -> Answer {
    let target = Target::parse(&server.url(), &with_loopback()).expect("a target");
    post(&client(with_loopback(), Turns::new(&[])), &target).await
}

async fn answer_to(answer: impl Into<Vec<u8>>) -> Answer {
    answer_of(&Server::answering(answer).await).await
}

fn answered(status: u16, retry_after: Option<u64>, excerpt: &str) -> Answer {
    Answer::Answered {
        status,
        retry_after: retry_after.map(Duration::from_secs),
        excerpt: excerpt.to_owned(),
    }
}

fn failed(reason: &str) -> Answer {
    Answer::Failed(reason.to_owned())
}

#[tokio::test]
async fn a_webhook_arrives_with_its_headers_and_body() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    assert_eq!(answer_of(&server).await, answered(204, None, ""));
    let requests = server.requests();
    let [request] = requests.as_slice() else {
        panic!("{requests:?}");
    };
    let host = format!("host: 127.0.0.1:{}", server.port());
    for part in [
        "POST /hook HTTP/1.1\r\n",
        host.as_str(),
        "content-type: application/json\r\n",
        concat!("user-agent: Millrace/", env!("CARGO_PKG_VERSION"), "\r\n"),
        "webhook-id: evt_1\r\n",
        "webhook-timestamp: 1700000000\r\n",
        "webhook-signature: v1,",
        "content-length: 2\r\n",
        "\r\n\r\n{}",
    ] {
        assert!(request.contains(part), "{part} in {request}");
    }
}

#[tokio::test]
async fn headers_of_the_connection_are_the_clients_own() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let target = Target::parse(&server.url(), &with_loopback()).expect("a target");
    let mut headers = HeaderMap::new();
    for name in [
        "host",
        "content-length",
        "transfer-encoding",
        "connection",
        "upgrade",
    ] {
        headers.insert(name, HeaderValue::from_static("wrong"));
    }
    let client = client(with_loopback(), Turns::new(&[]));
    let answer = client
        .post(&target, headers, Bytes::from_static(b"{}"))
        .await;
    assert_eq!(answer, answered(204, None, ""));
    assert!(!server.requests()[0].contains("wrong"));
}

#[tokio::test]
async fn a_failure_is_answered_with_its_excerpt() {
    let body = "no\r\nroom\x1b[0m";
    let answer = answer_to(format!(
        "HTTP/1.1 500 Oops\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = answer.await;
    assert_eq!(answer, answered(500, None, "no room[0m"));
    assert_eq!(verdict(&answer), Verdict::Failed);
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let other = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    for status in [301, 302, 303, 307, 308] {
        let location = other.url();
        let answer = answer_to(format!(
            "HTTP/1.1 {status} Elsewhere\r\nlocation: {location}\r\ncontent-length: 0\r\n\r\n"
        ));
        let answer = answer.await;
        assert_eq!(answer, answered(status, None, ""));
        assert_eq!(verdict(&answer), Verdict::Failed);
    }
    assert_eq!(other.connections().await, 0);
}

#[tokio::test]
async fn an_endpoint_can_ask_for_a_wait_and_say_that_it_is_gone() {
    let head = "HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n";
    let answer = answer_to(format!("{head}retry-after: 120\r\n\r\n"));
    assert_eq!(answer.await, answered(429, Some(120), ""));
    let date = "Fri, 01 Jan 2100 00:00:00 GMT";
    let answer = answer_to(format!("{head}retry-after: {date}\r\n\r\n"));
    assert_eq!(answer.await, answered(429, Some(86_400), ""));
    let gone = answer_to("HTTP/1.1 410 Gone\r\ncontent-length: 0\r\n\r\n").await;
    assert_eq!(gone, answered(410, None, ""));
    assert_eq!(verdict(&gone), Verdict::Gone);
}

#[tokio::test]
async fn an_endpoint_that_does_not_finish_in_time_has_timed_out() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n";
    let body = format!("{head}\r\nonly the beginning");
    for beginning in ["", head, &body] {
        let server = Server::holding(beginning).await;
        let target = Target::parse(&server.url(), &with_loopback()).expect("a target");
        let settings = ClientSettings {
            timeout: Duration::from_millis(200),
            ..settings(with_loopback())
        };
        let client = Client::with_lookup(settings, Turns::new(&[])).expect("a client");
        let start = Instant::now();
        assert_eq!(post(&client, &target).await, Answer::TimedOut);
        assert!(start.elapsed() < Duration::from_secs(5));
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(verdict(&Answer::TimedOut), Verdict::Failed);
}

#[tokio::test]
async fn a_lookup_that_does_not_end_in_time_has_timed_out() {
    struct Stuck;

    #[async_trait]
    impl Lookup for Stuck {
        async fn lookup(&self, _: &str) -> io::Result<Vec<IpAddr>> {
            std::future::pending().await
        }
    }

    let target = Target::parse("https://hooks.example.com/", &public()).expect("a target");
    let settings = ClientSettings {
        timeout: Duration::from_millis(50),
        ..settings(public())
    };
    let client = Client::with_lookup(settings, Arc::new(Stuck)).expect("a client");
    assert_eq!(post(&client, &target).await, Answer::TimedOut);
    assert_eq!(client.check(&target).await, Err(ResolveError::NotFound));
}

#[tokio::test]
async fn a_connection_is_kept_for_its_own_host_and_port_only() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    let servers = [Server::holding(answer).await, Server::holding(answer).await];
    let lookup = Turns::new(&[&["127.0.0.1"]]);
    let client = client(with_loopback(), Arc::clone(&lookup));
    for server in &servers {
        for host in ["a.example.com", "b.example.com"] {
            let url = format!("http://{host}:{}/", server.port());
            let target = Target::parse(&url, &with_loopback()).expect("a target");
            assert_eq!(post(&client, &target).await, answered(200, None, "ok"));
        }
    }
    assert_eq!(lookup.asked().len(), 4);
    assert!(servers.iter().all(|server| server.requests().len() == 2));
}

#[tokio::test]
async fn a_long_answer_is_read_only_at_its_beginning() {
    const LENGTH: usize = 10 * 1024 * 1024;
    let mut answer = format!("HTTP/1.1 200 OK\r\ncontent-length: {LENGTH}\r\n\r\n").into_bytes();
    answer.resize(answer.len() + LENGTH, b'x');
    let endless = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_vec();
    let endless = [endless, b"5\r\nxxxxx\r\n".repeat(100_000)].concat();
    for answer in [answer, endless] {
        let server = Server::answering(answer).await;
        let answer = answer_of(&server).await;
        assert_eq!(answer, answered(200, None, &"x".repeat(500)));
    }
}

#[tokio::test]
async fn an_answer_that_breaks_off_or_is_not_http_has_failed() {
    let closed = failed("the connection was closed before the answer was complete");
    let cut = answer_to("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nonly this");
    assert_eq!(cut.await, closed);
    assert_eq!(answer_to("HTTP/1.1 200").await, closed);
    let ssh = answer_to("SSH-2.0-OpenSSH_9.9\r\n\r\n").await;
    assert_eq!(ssh, failed("the answer is not HTTP"));
    let flood = format!("HTTP/1.1 200 OK\r\nx: {}\r\n\r\n", "x".repeat(100_000));
    assert_eq!(answer_to(flood).await, failed("the answer is not HTTP"));
}

#[tokio::test]
async fn a_refused_connection_is_told_without_the_address() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/", listener.local_addr().expect("an address"));
    drop(listener);
    let target = Target::parse(&url, &with_loopback()).expect("a target");
    let answer = post(&client(with_loopback(), Turns::new(&[])), &target).await;
    assert_eq!(answer, failed("the connection was refused"));
}

#[tokio::test]
async fn an_unknown_name_is_told() {
    let target = Target::parse("https://hooks.example.com/", &public()).expect("a target");
    for lookup in [Turns::new(&[]), Turns::new(&[&[]])] {
        let client = client(public(), lookup);
        let answer = post(&client, &target).await;
        assert_eq!(answer, failed("the host name was not found"));
        assert_eq!(client.check(&target).await, Err(ResolveError::NotFound));
    }
}

#[tokio::test]
async fn a_name_that_turns_to_the_inside_after_its_check_is_refused() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("https://rebind.example.com:{}/", server.port());
    let target = Target::parse(&url, &public()).expect("a target");
    let lookup = Turns::new(&[&["8.8.8.8"], &["127.0.0.1"]]);
    let client = client(public(), Arc::clone(&lookup));
    assert_eq!(client.check(&target).await, Ok(()));
    assert_eq!(post(&client, &target).await, Answer::Refused);
    assert_eq!(client.check(&target).await, Err(ResolveError::Refused));
    assert_eq!(lookup.asked(), ["rebind.example.com"; 3]);
    assert_eq!(server.connections().await, 0);
}

#[tokio::test]
async fn one_inside_address_among_public_ones_refuses_the_name() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("https://mixed.example.com:{}/", server.port());
    let target = Target::parse(&url, &public()).expect("a target");
    for answer in [
        &["127.0.0.1", "8.8.8.8"] as &[_],
        &["8.8.8.8", "127.0.0.1"],
        &["::ffff:127.0.0.1"],
        &["::1"],
        &["0.0.0.0"],
    ] {
        let client = client(public(), Turns::new(&[answer]));
        assert_eq!(post(&client, &target).await, Answer::Refused, "{answer:?}");
    }
    assert_eq!(server.connections().await, 0);
}

#[tokio::test]
async fn a_target_of_other_rules_is_judged_again() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    for scheme in ["http", "https"] {
        let url = format!("{scheme}://127.0.0.1:{}/", server.port());
        let target = Target::parse(&url, &with_loopback()).expect("a target");
        let client = client(public(), Turns::new(&[]));
        assert_eq!(post(&client, &target).await, Answer::Refused);
        assert_eq!(client.check(&target).await, Err(ResolveError::Refused));
    }
    assert_eq!(server.connections().await, 0);
}

#[tokio::test]
async fn without_tls_a_name_must_lead_to_added_networks_only() {
    let server = Server::answering("HTTP/1.1 204 No Content\r\n\r\n").await;
    let url = format!("http://hooks.internal:{}/", server.port());
    let target = Target::parse(&url, &with_loopback()).expect("a target");
    for (answer, refused) in [
        (&["127.0.0.1"] as &[_], false),
        (&["127.0.0.1", "8.8.8.8"], true),
        (&["8.8.8.8"], true),
        (&["127.0.0.1", "10.0.0.1"], true),
    ] {
        let client = client(with_loopback(), Turns::new(&[answer]));
        assert_eq!(client.check(&target).await.is_err(), refused, "{answer:?}");
        let answer = post(&client, &target).await;
        assert_eq!(answer == Answer::Refused, refused);
        assert!(refused || answer == answered(204, None, ""));
    }
    assert_eq!(server.connections().await, 1);
}
