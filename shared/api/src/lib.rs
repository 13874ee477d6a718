//! The HTTP layer of every API function: authentication, requests, answers, and the OpenAPI document.
//!
//! * [`Routes`] holds a function's endpoints. The router and the OpenAPI document both come from it, so an endpoint
//!   cannot be missing from either.
//! * [`Command`] is a requested change: the checked body, the `Idempotency-Key`, the mark and the cause. [`execute`] is
//!   the only way to carry it out. It stores the answer, and a repeat gets the stored answer.
//! * [`Query`], [`Path`], [`PageQuery`] and [`Page`] are for reads. [`Caller`] identifies the caller.
//! * [`Problem`] is every answer that reports an error (RFC 9457).
//! * [`Keys`] creates, checks, lists and deletes API keys.
//! * [`history`] answers with events from the event log. [`authenticate`] checks an API key on endpoints that accept
//!   other credentials too.
//! * [`run`] serves a router on Lambda. [`time_left`] is the time that an invocation has left.

mod amount;
mod command;
mod cors;
mod deadline;
mod direct;
mod form;
mod gate;
pub mod history;
pub mod keys;
mod openapi;
mod paging;
mod params;
mod problem;
mod reply;
mod routes;
mod schema;
mod timestamp;

pub use amount::{AmountInput, PositiveInput};
pub use command::{
    Command, Document, MAX_BODY_BYTES, METADATA_OWNER, Question, decided, execute, execute_keeping,
};
pub use cors::Cors;
pub use deadline::time_left;
pub use direct::{Direct, run_with};
pub use form::{Events, Form, OneEvent};
pub use gate::{Caller, authenticate};
pub use keys::{Keys, Owner, Scope};
pub use openapi::{MergeError, merge};
pub use outbox::Decision;
pub use paging::{CursorToken, MAX_PAGE, Page, PageLimit, PageQuery};
pub use params::{Path, Query};
pub use problem::{CommandError, Problem};
pub use reply::{Created, NoContent, Reply};
pub use routes::{Described, Doc, Input, Operation, Output, Routes, problem_response};
pub use schema::closed_schema_of;
pub use timestamp::TimestampInput;

pub use axum::extract::State;

/// Serves a router on Lambda until the execution environment ends.
///
/// A request that takes too long is answered with 503 `unavailable` shortly before the function's timeout. Otherwise
/// Lambda would kill the environment, and the caller would get a bare 502 that does not say what to do.
///
/// # Errors
/// The error that stopped the Lambda runtime.
pub async fn run(router: axum::Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(deadline::answered_in_time(router)).await
}
