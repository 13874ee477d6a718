//! The responses that go back to the caller.

use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::{
    HeaderMap, Response, StatusCode,
    body::Bytes,
    header::{
        CONNECTION, CONTENT_LENGTH, HeaderName, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE,
        TRAILER, TRANSFER_ENCODING, UPGRADE,
    },
    http::response,
};
use serde_json::Value;

use super::{operation::Operation, refusals::Refusal};

/// Headers of a connection, which are not passed on.
const HOP_BY_HOP: [HeaderName; 7] = [
    CONNECTION,
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];
/// The checksum of a response's body. It is wrong once the body was changed.
const CRC32: &str = "x-amz-crc32";
pub(super) type Body = BoxBody<Bytes, hyper::Error>;

/// The service's complete response.
pub(super) struct Answered {
    pub(super) parts: response::Parts,
    pub(super) bytes: Bytes,
}

pub(super) fn without_hops(headers: &mut HeaderMap) {
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

pub(super) fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

pub(super) fn plain(status: StatusCode, text: String) -> Response<Body> {
    let mut answer = Response::new(full(Bytes::from(text)));
    *answer.status_mut() = status;
    answer
}

pub(super) fn json_answer(value: &Value) -> Response<Body> {
    let mut answer = plain(StatusCode::OK, value.to_string());
    let json = hyper::header::HeaderValue::from_static("application/x-amz-json-1.1");
    answer
        .headers_mut()
        .insert(hyper::header::CONTENT_TYPE, json);
    answer
}

pub(super) fn refused(refusal: Refusal, operation: &Operation) -> Response<Body> {
    let (builder, body) = refusal.write(operation);
    // All parts are constants, so the builder cannot fail.
    builder
        .body(full(Bytes::from(body)))
        .unwrap_or_else(|error| plain(StatusCode::INTERNAL_SERVER_ERROR, error.to_string()))
}

/// The response, unchanged.
pub(super) fn whole(answered: Answered) -> Response<Body> {
    let Answered { mut parts, bytes } = answered;
    without_hops(&mut parts.headers);
    parts.headers.remove(CONTENT_LENGTH);
    Response::from_parts(parts, full(bytes))
}

/// The response with a changed body, if the body is JSON.
pub(super) fn changed(
    mut answered: Answered,
    change: impl FnOnce(Value) -> Value,
) -> Response<Body> {
    if let Ok(answer) = serde_json::from_slice(&answered.bytes) {
        answered.bytes = Bytes::from(change(answer).to_string());
        answered.parts.headers.remove(CRC32);
    }
    whole(answered)
}
