//! Calls over TLS, with an authority made for the test.

use std::sync::Arc;

use rcgen::{CertificateParams, KeyPair, date_time_ymd};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivatePkcs8KeyDer},
    },
};
use webhook::{Allowed, Answer, Authorities, Client, ClientSettings, Rules, Target};

use crate::{
    client::{post, settings},
    server::{Server, Turns},
};

const HOST: &str = "hooks.example.com";
const NO_CONTENT: &str = "HTTP/1.1 204 No Content\r\n\r\n";

/// A certificate that is its own authority, and the server that shows it.
async fn server(params: CertificateParams) -> (Server, CertificateDer<'static>) {
    let key = KeyPair::generate().expect("a key");
    let certificate = params.self_signed(&key).expect("a certificate");
    let der = certificate.der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(
            vec![der.clone()],
            PrivatePkcs8KeyDer::from(key.serialize_der()).into(),
        )
        .expect("a configuration");
    let acceptor = TlsAcceptor::from(Arc::new(config));
    (Server::answering_by_tls(NO_CONTENT, acceptor).await, der)
}

fn of(host: &str) -> CertificateParams {
    CertificateParams::new(vec![host.to_owned()]).expect("a name")
}

async fn answer_of(server: &Server, authority: Option<CertificateDer<'static>>) -> Answer {
    answer_at(server.port(), authority).await
}

async fn answer_at(port: u16, authority: Option<CertificateDer<'static>>) -> Answer {
    let rules = Rules {
        allowed: Allowed::public().and(["127.0.0.0/8"]).expect("networks"),
        ports: vec![port],
    };
    let url = format!("https://{HOST}:{port}/hook");
    let target = Target::parse(&url, &rules).expect("a target");
    let settings = ClientSettings {
        authorities: Authorities::Only(authority.into_iter().collect()),
        ..settings(rules)
    };
    let lookup = Turns::new(&[&["127.0.0.1"]]);
    post(
        &Client::with_lookup(settings, lookup).expect("a client"),
        &target,
    )
    .await
}

#[tokio::test]
async fn a_webhook_arrives_by_tls_under_its_hosts_name() {
    let (server, authority) = server(of(HOST)).await;
    let answer = answer_of(&server, Some(authority)).await;
    assert!(
        matches!(answer, Answer::Answered { status: 204, .. }),
        "{answer:?}"
    );
    let requests = server.requests();
    assert!(requests[0].starts_with("POST /hook HTTP/1.1\r\n"));
    assert!(requests[0].contains(&format!("host: {HOST}:{}\r\n", server.port())));
}

#[tokio::test]
async fn a_certificate_that_does_not_fit_is_told_and_nothing_is_sent() {
    let failed = |reason: &str| Answer::Failed(format!("TLS: {reason}"));
    let (other, authority) = server(of("other.example.com")).await;
    let answer = answer_of(&other, Some(authority)).await;
    assert_eq!(answer, failed("the certificate is for another host"));

    let (unknown, _) = server(of(HOST)).await;
    let answer = answer_of(&unknown, None).await;
    assert_eq!(
        answer,
        failed("the certificate is from an unknown authority")
    );

    let mut old = of(HOST);
    old.not_after = date_time_ymd(2020, 1, 1);
    let (expired, authority) = server(old).await;
    let answer = answer_of(&expired, Some(authority)).await;
    assert_eq!(answer, failed("the certificate has expired"));

    for server in [other, unknown, expired] {
        assert_eq!(server.requests(), [""; 0]);
    }
}

#[tokio::test]
async fn an_endpoint_without_tls_fails_the_handshake() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let port = listener.local_addr().expect("an address").port();
    let greeting = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let greeted = stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").await;
        greeted.expect("writes");
        // Until the client gives up.
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap_or_default()
    });
    let answer = answer_at(port, None).await;
    assert_eq!(
        answer,
        Answer::Failed("TLS: the handshake failed".to_owned())
    );
    greeting.await.expect("ends");
}
