//! What a request must contain; the stub refuses anything else.

use hyper::StatusCode;
use serde_json::{Value, json};

use super::{Item, Refused};

pub(super) fn invalid(message: &str) -> Refused {
    Refused(
        StatusCode::BAD_REQUEST,
        "ValidationException",
        json!({ "message": message }),
    )
}

pub(super) fn text(value: &Value) -> Result<&str, Refused> {
    value
        .as_str()
        .ok_or_else(|| invalid(&format!("{value} is not a string")))
}

pub(super) fn object(value: &Value) -> Result<&Item, Refused> {
    value
        .as_object()
        .ok_or_else(|| invalid(&format!("{value} is not an object")))
}

pub(super) fn array(value: &Value) -> Result<&[Value], Refused> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| invalid(&format!("{value} is not a list")))
}

pub(super) fn consistent(request: &Value) -> Result<(), Refused> {
    if request["ConsistentRead"] == true && request["IndexName"].is_null() {
        Ok(())
    } else {
        Err(invalid("the stub counts only consistent reads of tables"))
    }
}

pub(super) fn limit(request: &Value) -> usize {
    request["Limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}
