//! An API function that can also be invoked without HTTP, by a service that has permission to invoke it or by a rule of
//! a bus.

use async_trait::async_trait;
use lambda_http::{
    Adapter, Error, LambdaEvent, request::LambdaRequest, service_fn, tower::Service as _,
};
use serde::Deserialize;
use serde_json::{Value, value::RawValue};

use crate::{MAX_BODY_BYTES, Problem, deadline::answered_in_time};

/// Handles an invocation that is not an HTTP request. There is no API key: everyone with permission to invoke the
/// function can make one.
#[async_trait]
pub trait Direct: Send + Sync {
    /// Answers the invocation.
    ///
    /// # Errors
    /// The invocation fails with this error. Lambda retries an asynchronous invocation.
    async fn invoked(&self, payload: Value) -> Result<Value, Error>;
}

/// Serves a router on Lambda as [`crate::run`] does, and passes every invocation that is not an HTTP request to
/// `direct`, if it has at most [`MAX_BODY_BYTES`]. A larger one fails: parsed, it can take a hundred times its size.
///
/// # Errors
/// The error that stopped the Lambda runtime.
pub async fn run_with(router: axum::Router, direct: impl Direct) -> Result<(), Error> {
    let (adapter, direct) = (&Adapter::from(answered_in_time(router)), &direct);
    // The payload stays text until its size is known.
    let handler = service_fn(move |event: LambdaEvent<Box<RawValue>>| async move {
        let (payload, context) = event.into_parts();
        if !is_http(payload.get()) {
            return pass_on(payload.get(), direct).await;
        }
        let request: LambdaRequest = serde_json::from_str(payload.get())?;
        let answer = adapter.clone().call(LambdaEvent::new(request, context));
        Ok(serde_json::to_value(answer.await?)?)
    });
    lambda_http::lambda_runtime::run(handler).await
}

async fn pass_on(payload: &str, direct: &impl Direct) -> Result<Value, Error> {
    if payload.len() > MAX_BODY_BYTES {
        let problem = Problem::body_too_large(MAX_BODY_BYTES);
        return Err(problem.body().to_string().into());
    }
    direct.invoked(serde_json::from_str(payload)?).await
}

/// Whether API Gateway sent it. Its proxy integration and the test events of its console both name the method.
fn is_http(payload: &str) -> bool {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Request<'a> {
        #[serde(borrow, default)]
        http_method: Option<&'a RawValue>,
        #[serde(borrow, default)]
        request_context: Option<&'a RawValue>,
    }
    // A list is not a request, although serde reads a struct from it.
    payload.starts_with('{')
        && serde_json::from_str::<Request<'_>>(payload)
            .is_ok_and(|request| request.http_method.is_some() && request.request_context.is_some())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_of_the_front_is_told_from_an_event_of_a_bus_and_from_anything_else() {
        let is_http = |payload: Value| super::is_http(&payload.to_string());
        assert!(is_http(
            json!({ "httpMethod": "POST", "requestContext": {}, "body": "{}" })
        ));
        assert!(!is_http(json!({ "detail-type": "a.b", "detail": {} })));
        assert!(!is_http(json!([{ "httpMethod": "POST" }])));
        assert!(!is_http(json!(["POST", {}])));
    }

    /// Answers with what it was invoked with.
    struct Echo;

    #[async_trait]
    impl Direct for Echo {
        async fn invoked(&self, payload: Value) -> Result<Value, Error> {
            Ok(payload)
        }
    }

    #[tokio::test]
    async fn a_payload_that_is_too_large_fails_before_it_is_parsed() {
        let largest = format!("\"{}\"", "x".repeat(MAX_BODY_BYTES - 2));
        assert!(pass_on(&largest, &Echo).await.is_ok());
        // Parsing would report that this is not JSON.
        let refused = pass_on(&"{".repeat(MAX_BODY_BYTES + 1), &Echo).await;
        let problem = refused.map(drop).map_err(|error| error.to_string());
        assert!(
            problem.is_err_and(|text| text.contains("urn:millrace:problem:body-too-large")),
            "it says why"
        );
    }
}
