//! Answers that a service gives when it will not or cannot: each in the service's own words, so that an SDK reads them as
//! it would on AWS.

use hyper::{StatusCode, http::response::Builder};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};

use super::operation::Operation;

/// An answer made here.
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    /// More fields than code and message.
    more: Value,
}

const MESSAGE: &str = "injected by the fault proxy";

impl Refusal {
    fn new(status: StatusCode, code: &'static str) -> Self {
        Self {
            status,
            code,
            more: Value::Null,
        }
    }

    /// The service's internal error.
    pub(crate) fn internal(operation: &Operation) -> Self {
        let code = match operation.service.as_str() {
            "dynamodb" => "InternalServerError",
            "sqs" => "InternalError",
            "events" => "InternalException",
            _ => "InternalFailure",
        };
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, code)
    }

    /// The service is away.
    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
    }

    /// Slow down.
    pub(crate) fn throttled(operation: &Operation, dice: &mut StdRng) -> Self {
        match operation.service.as_str() {
            "dynamodb" if dice.random_bool(0.5) => Self::new(
                StatusCode::BAD_REQUEST,
                "ProvisionedThroughputExceededException",
            ),
            "dynamodb" | "events" => Self::new(StatusCode::BAD_REQUEST, "ThrottlingException"),
            "sqs" => Self::new(StatusCode::BAD_REQUEST, "RequestThrottled"),
            _ => Self::new(StatusCode::TOO_MANY_REQUESTS, "TooManyRequestsException"),
        }
    }

    /// Another transaction has an item in hand. `items`: how many the transaction has; one of them at least is it.
    pub(crate) fn conflict(operation: &Operation, items: u64, dice: &mut StdRng) -> Self {
        if operation.name != "TransactWriteItems" {
            return Self::new(StatusCode::BAD_REQUEST, "TransactionConflictException");
        }
        let certain = dice.random_range(0..items.max(1));
        let reasons: Vec<Value> = (0..items)
            .map(|place| {
                if place == certain || dice.random_bool(0.1) {
                    json!({ "Code": "TransactionConflict", "Message": "Transaction is ongoing for the item" })
                } else {
                    json!({ "Code": "None" })
                }
            })
            .collect();
        Self {
            more: json!({ "CancellationReasons": reasons }),
            ..Self::new(StatusCode::BAD_REQUEST, "TransactionCanceledException")
        }
    }

    /// The first sending of the same bytes is under way.
    pub(crate) fn in_progress() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TransactionInProgressException")
    }

    /// Status, headers and body as the service would write them.
    pub(crate) fn write(self, operation: &Operation) -> (Builder, String) {
        let (content_type, namespace) = match operation.service.as_str() {
            "dynamodb" => (
                "application/x-amz-json-1.0",
                "com.amazonaws.dynamodb.v20120810#",
            ),
            "sqs" => ("application/x-amz-json-1.0", "com.amazonaws.sqs#"),
            "events" => ("application/x-amz-json-1.1", ""),
            _ => ("application/json", ""),
        };
        let mut body = json!({ "message": MESSAGE });
        if operation.service == "dynamodb" {
            // DynamoDB spells it with a capital for cancelled transactions; SDKs read either.
            body["Message"] = MESSAGE.into();
        }
        if let (Some(body), Value::Object(more)) = (body.as_object_mut(), self.more) {
            body.extend(more);
        }
        let mut answer = hyper::Response::builder()
            .status(self.status)
            .header("content-type", content_type)
            .header("x-amzn-requestid", "fault-proxy");
        if operation.service == "ses" {
            answer = answer.header("x-amzn-errortype", self.code);
        } else {
            body["__type"] = format!("{namespace}{}", self.code).into();
        }
        if operation.service == "sqs" {
            answer = answer.header("x-amzn-query-error", format!("{};Sender", self.code));
        }
        (answer, body.to_string())
    }
}
