//! Successful answers.

use std::marker::PhantomData;

use axum::response::{IntoResponse, Response};
use events::CorrelationId;
use http::{HeaderName, HeaderValue, StatusCode, header};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use crate::Problem;

/// Marks a stored first answer: this request had no new effect.
pub(crate) const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
/// The correlation id of the request's events, sent by the caller or assigned to the request.
pub(crate) const CORRELATION_ID: HeaderName = HeaderName::from_static("x-correlation-id");

/// A JSON answer of a type. The status is part of the type, so that the OpenAPI document knows it.
#[derive(Debug, Clone)]
pub struct Reply<A, const STATUS: u16 = 200> {
    status: u16,
    body: String,
    replayed: bool,
    correlation_id: Option<CorrelationId>,
    of: PhantomData<fn() -> A>,
}

/// 201 with what was created.
pub type Created<A> = Reply<A, 201>;

impl<A: Serialize, const STATUS: u16> Reply<A, STATUS> {
    /// A new answer.
    ///
    /// # Errors
    /// [`Problem::internal`] if the answer cannot be serialised.
    pub fn of(answer: &A) -> Result<Self, Problem> {
        let body = serde_json::to_string(answer).map_err(|error| Problem::internal(&error))?;
        Ok(Self::raw(STATUS, body))
    }
}

impl<A, const STATUS: u16> Reply<A, STATUS> {
    fn raw(status: u16, body: String) -> Self {
        Self {
            status,
            body,
            replayed: false,
            correlation_id: None,
            of: PhantomData,
        }
    }

    pub(crate) fn fresh(body: &Value, correlation_id: Option<CorrelationId>) -> Self {
        Self {
            correlation_id,
            ..Self::raw(STATUS, body.to_string())
        }
    }

    pub(crate) fn again(status: u16, body: &Value) -> Self {
        Self {
            replayed: true,
            ..Self::raw(status, body.to_string())
        }
    }

    /// Adds to an answer what was found out after the commit, and is not stored. A repeat gets the stored answer, and what
    /// is found out then.
    ///
    /// # Errors
    /// [`Problem::internal`] if a stored answer cannot be read, or the new one not serialised.
    pub fn and<B: Serialize>(self, add: impl FnOnce(A) -> B) -> Result<Reply<B, STATUS>, Problem>
    where
        A: DeserializeOwned,
    {
        let internal = |error: serde_json::Error| Problem::internal(&error);
        let answer = serde_json::from_str(&self.body).map_err(internal)?;
        Ok(Reply {
            status: self.status,
            body: serde_json::to_string(&add(answer)).map_err(internal)?,
            replayed: self.replayed,
            correlation_id: self.correlation_id,
            of: PhantomData,
        })
    }

    /// Whether this is the stored first answer.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.replayed
    }

    /// The JSON body.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }
}

impl<A, const STATUS: u16> IntoResponse for Reply<A, STATUS> {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.status).unwrap_or(StatusCode::OK);
        let mut response = (
            status,
            [(header::CONTENT_TYPE, "application/json")],
            self.body,
        )
            .into_response();
        if self.replayed {
            response
                .headers_mut()
                .insert(REPLAYED, HeaderValue::from_static("true"));
        }
        if let Some(id) = self.correlation_id
            && let Ok(value) = HeaderValue::from_str(&id.to_string())
        {
            response.headers_mut().insert(CORRELATION_ID, value);
        }
        response
    }
}

/// 204: done, with no body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NoContent;

impl IntoResponse for NoContent {
    fn into_response(self) -> Response {
        StatusCode::NO_CONTENT.into_response()
    }
}
