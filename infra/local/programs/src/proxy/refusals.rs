//! Error responses of a service that rejects a call or is unavailable. Each has the service's own form, so that an SDK
//! reads it as on AWS.

use hyper::{StatusCode, http::response::Builder};
use rand::{Rng, rngs::StdRng};
use serde_json::{Value, json};

use super::operation::Operation;

/// A response made by the proxy.
pub(crate) struct Refusal {
    status: StatusCode,
    code: &'static str,
    /// Fields besides the code and the message.
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

    /// The service is unavailable.
    pub(crate) fn unavailable() -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "ServiceUnavailable")
    }

    /// The caller must slow down.
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

    /// Another transaction holds an item. `items`: how many items the transaction has; at least one of them is held.
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

    /// An earlier request with the same bytes is still in progress.
    pub(crate) fn in_progress() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "TransactionInProgressException")
    }

    /// The status, headers and body that the service would send.
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
            // DynamoDB spells it with a capital letter for cancelled transactions. SDKs read both spellings.
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
