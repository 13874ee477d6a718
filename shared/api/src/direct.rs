//! An API function that can also be invoked without HTTP, by a service that has permission to invoke it or by a rule of
//! a bus.

use async_trait::async_trait;
use lambda_http::{
    Adapter, Error, LambdaEvent, request::LambdaRequest, service_fn, tower::Service as _,
};
use serde_json::Value;

use crate::deadline::answered_in_time;

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
/// `direct`.
///
/// # Errors
/// The error that stopped the Lambda runtime.
pub async fn run_with(router: axum::Router, direct: impl Direct) -> Result<(), Error> {
    let (adapter, direct) = (&Adapter::from(answered_in_time(router)), &direct);
    let handler = service_fn(move |event: LambdaEvent<Value>| async move {
        let (payload, context) = event.into_parts();
        if !is_http(&payload) {
            return direct.invoked(payload).await;
        }
        let request: LambdaRequest = serde_json::from_value(payload)?;
        let answer = adapter.clone().call(LambdaEvent::new(request, context));
        Ok(serde_json::to_value(answer.await?)?)
    });
    lambda_http::lambda_runtime::run(handler).await
}

/// Whether API Gateway sent it. Its proxy integration and the test events of its console both name the method.
fn is_http(payload: &Value) -> bool {
    payload.get("httpMethod").is_some() && payload.get("requestContext").is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_request_of_the_front_is_told_from_an_event_of_a_bus_and_from_anything_else() {
        assert!(is_http(
            &json!({ "httpMethod": "POST", "requestContext": {} })
        ));
        assert!(!is_http(&json!({ "detail-type": "a.b", "detail": {} })));
        assert!(!is_http(&json!([{ "httpMethod": "POST" }])));
    }
}
