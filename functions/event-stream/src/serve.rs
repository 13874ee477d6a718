//! The two hosts of the router.

use std::{
    convert::Infallible,
    io::{self, Write as _},
    time::Duration,
};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

use crate::config::Host;

/// Serves where it is meant to, until the process ends. By itself it prints where it listens: what started it reads the port from
/// there.
///
/// # Errors
/// When it cannot listen, and what the host gives up for.
pub async fn run(host: Host, router: Router, at_most: Duration) -> Result<(), lambda_http::Error> {
    match host {
        Host::Lambda => lambda(router).await,
        Host::Http(address) => {
            let listener = TcpListener::bind(address).await?;
            let mut stdout = io::stdout().lock();
            writeln!(stdout, "listening on http://{}", listener.local_addr()?)?;
            stdout.flush()?;
            drop(stdout);
            Ok(http(listener, router, at_most).await?)
        }
    }
}

/// Serves on Lambda, answers streamed as they are made.
///
/// # Errors
/// What the runtime gave up for.
pub async fn lambda(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run_with_streaming_response(router).await
}

/// Serves as an ordinary HTTP server, until the process ends. A connection is dropped after `at_most`, so that a client that
/// neither reads nor goes does not keep its place: a stream whose bytes nobody takes is never asked whether its time is up.
///
/// # Errors
/// When the listener is gone.
pub async fn http(listener: TcpListener, router: Router, at_most: Duration) -> io::Result<()> {
    loop {
        let (connection, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // Of the one connection, or too many files: neither is a reason to end all others.
            Err(error) => {
                tracing::warn!(%error, "a connection was not accepted");
                tokio::time::sleep(Duration::from_millis(100)).await;
                continue;
            }
        };
        let router = router.clone();
        tokio::spawn(async move {
            let service = service_fn(move |request: hyper::Request<Incoming>| {
                let answer = router.clone().oneshot(request.map(Body::new));
                async move { Ok::<_, Infallible>(answer.await.unwrap_or_else(|never| match never {})) }
            });
            let serving = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(connection), service);
            // A client that went away in the middle of a stream is nothing unusual.
            match tokio::time::timeout(at_most, serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection broke off"),
                Err(_) => tracing::debug!("a connection lasted too long"),
            }
        });
    }
}
