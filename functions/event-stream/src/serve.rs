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

/// Serves on the configured host until the process ends. A server of its own prints its address, from which the program
/// that started it reads the port.
///
/// # Errors
/// If it cannot listen, and the errors of the host.
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

/// Serves on Lambda. Responses are streamed as they are produced.
///
/// # Errors
/// The error that stopped the runtime.
pub async fn lambda(router: Router) -> Result<(), lambda_http::Error> {
    lambda_http::run_with_streaming_response(router).await
}

/// Serves as an ordinary HTTP server until the process ends. A connection is dropped after `at_most`. Otherwise a
/// client that neither reads nor disconnects would keep its place: a stream whose data is never read never checks its
/// deadline.
///
/// # Errors
/// When the listener is gone.
pub async fn http(listener: TcpListener, router: Router, at_most: Duration) -> io::Result<()> {
    loop {
        let (connection, _) = match listener.accept().await {
            Ok(accepted) => accepted,
            // The error concerns one connection, or too many files are open. Neither is a reason to end the other
            // connections.
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
            // It is normal that a client disconnects in the middle of a stream.
            match tokio::time::timeout(at_most, serving).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => tracing::debug!(%error, "a connection was interrupted"),
                Err(_) => tracing::debug!("a connection reached its time limit"),
            }
        });
    }
}
