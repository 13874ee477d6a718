//! The two hosts of the router.

use std::{convert::Infallible, io, time::Duration};

use axum::{Router, body::Body};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;
use tower::ServiceExt as _;

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
