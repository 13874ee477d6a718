//! The HTTP glue of every API function: who calls, what is asked, what is answered, and the document that says so.
//!
//! * [`Routes`] holds a function's endpoints; router and OpenAPI document both come from it, so neither can lack one.
//! * [`Command`] is a change asked for: checked body, `Idempotency-Key`, mark and cause. [`execute`] is the one way to
//!   carry it out; it keeps the answer and gives repeats the first one.
//! * [`Query`], [`Path`], [`PageQuery`] and [`Page`] are for reading; [`Caller`] says who asks.
//! * [`Problem`] is every answer that is no success (RFC 9457).
//! * [`Keys`] creates, checks, lists and deletes API keys.
//! * [`history`] is the event log's answer; [`authenticate`] is the gate for endpoints that let others in too.
//! * [`run`] serves a router on Lambda; [`time_left`] is what an invocation has left.

mod amount;
mod command;
mod cors;
mod deadline;
mod direct;
mod form;
mod gate;
pub mod history;
pub mod keys;
mod moment;
mod openapi;
mod paging;
mod params;
mod problem;
mod reply;
mod routes;
mod schema;

pub use amount::{AmountInput, PositiveInput};
pub use command::{
    Command, Document, MAX_BODY_BYTES, METADATA_OWNER, decided, execute, execute_keeping,
};
pub use cors::Cors;
pub use deadline::time_left;
pub use direct::{Direct, run_with};
pub use form::{Events, Form, OneEvent};
pub use gate::{Caller, authenticate};
pub use keys::{Keys, Owner, Scope};
pub use moment::MomentInput;
pub use openapi::{MergeError, merge};
pub use outbox::Decision;
pub use paging::{CursorToken, MAX_PAGE, Page, PageLimit, PageQuery};
pub use params::{Path, Query};
pub use problem::{Failure, Problem};
pub use reply::{Created, NoContent, Reply};
pub use routes::{Described, Doc, Input, Operation, Output, Routes};
pub use schema::closed_schema_of;

pub use axum::extract::State;

/// Serves a router on Lambda until the environment ends.
///
/// A request that takes too long is answered 503 `unavailable` shortly before the function's time is over: Lambda would kill the
/// environment, and the caller would see a bare 502 without a word on what to do.
///
/// # Errors
/// What the runtime gave up for.
pub async fn run(router: axum::Router) -> Result<(), lambda_http::Error> {
    lambda_http::run(deadline::answered_in_time(router)).await
}
