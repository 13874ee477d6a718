//! Answers every request before Lambda's deadline, even if a dependency hangs.

use std::time::{Duration, SystemTime};

use axum::{
    Router,
    extract::Request,
    middleware::{Next, from_fn},
    response::{IntoResponse, Response},
};
use lambda_http::RequestExt;

use crate::Problem;

/// The response margin: how much of the function's time is left at the latest when it answers. The response needs it to
/// travel, and telemetry to write its last data.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// Wraps the router so that each request is answered before the deadline of its invocation.
pub(crate) fn answered_in_time(router: Router) -> Router {
    router.layer(from_fn(in_time))
}

/// When the time is up, the handler is cancelled at its next await. A commit that was already sent can still take
/// effect; a repeat with the same `Idempotency-Key` finds out.
async fn in_time(request: Request, next: Next) -> Response {
    let Some(left) = time_left(&request) else {
        return next.run(request).await;
    };
    match tokio::time::timeout(left.saturating_sub(LAST_WORDS), next.run(request)).await {
        Ok(response) => response,
        Err(_) => {
            tracing::warn!("the handler did not finish before the deadline; answered 503");
            Problem::unavailable().into_response()
        }
    }
}

/// The time that the request's invocation has left, zero after its deadline; `None` if the request did not come through
/// Lambda.
#[must_use]
pub fn time_left(request: &Request) -> Option<Duration> {
    let deadline = request.lambda_context_ref()?.deadline();
    let left = deadline.duration_since(SystemTime::now());
    Some(left.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use std::{future::pending, time::UNIX_EPOCH};

    use axum::{body::Body, routing::get};
    use http::StatusCode;
    use lambda_http::Context;
    use tower::ServiceExt;

    use super::*;

    async fn answer(path: &str, left: Option<Duration>) -> Response {
        let router = Router::new()
            .route("/quick", get(|| async { "here" }))
            .route("/never", get(pending::<&'static str>));
        let mut request = Request::get(path).body(Body::empty()).expect("a request");
        if let Some(left) = left {
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .expect("after 1970");
            let mut context = Context::default();
            context.deadline = u64::try_from((now + left).as_millis()).expect("fits");
            request = request.with_lambda_context(context);
        }
        let answered = answered_in_time(router).oneshot(request);
        answered.await.expect("a router does not fail")
    }

    #[tokio::test(start_paused = true)]
    async fn what_hangs_is_answered_before_the_deadline_and_may_be_sent_again() {
        let begun = tokio::time::Instant::now();
        let response = answer("/never", Some(Duration::from_secs(15))).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(response.headers().contains_key("retry-after"));
        let took = begun.elapsed();
        let expected = Duration::from_secs(14)..Duration::from_secs(15);
        assert!(expected.contains(&took), "{took:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_deadline_that_is_past_is_answered_at_once() {
        let response = answer("/never", Some(Duration::ZERO)).await;
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
    }

    #[tokio::test]
    async fn what_answers_in_time_is_left_alone() {
        for left in [Some(Duration::from_secs(15)), None] {
            assert_eq!(answer("/quick", left).await.status(), StatusCode::OK);
        }
    }
}
