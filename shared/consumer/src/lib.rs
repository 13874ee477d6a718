//! The consumer runtime: drains a consumer's lanes, passes typed events to one handler, and makes repeats and failures
//! safe.
//!
//! * [`Handler`] is the part that a consumer implements. It gets a typed event and a transaction, and returns a
//!   decision.
//! * [`Failure`] says what can be done about an error: retry (the default for any error), unavailable, or park.
//! * [`BatchRunner`] handles a batch: each record independently, with a time limit and a retry schedule. It parks what
//!   it cannot handle, with the reason.
//! * [`queue::run`] runs a handler on Lambda, [`stream::run`] runs the relay.
//! * [`messages::run`] handles the messages of any queue, whatever they hold.
//! * [`schedule`] runs jobs that a schedule starts: one runner at a time, page by page.
//!
//! Correctness rests on marks, version guards and cursors, which are durable. The memory of this crate (which messages
//! it returned unbegun) and the visibility of messages only determine when repeats come.

mod batch;
mod config;
mod failure;
mod handler;
mod in_order;
mod letter;
pub mod messages;
mod outcome;
mod port;
pub mod queue;
pub mod schedule;
pub mod stream;

pub use batch::BatchRunner;
pub use config::{Config, Lane, Lanes, Settings};
pub use failure::{Class, Failure};
pub use handler::{Handler, Received};
pub use letter::{ERROR_MAX_BYTES, Letter, ParkReason};
pub use outcome::{BEFORE_IT_BEGAN, Delivery, Finished, Message, OPERATION_ID, Outcome, Summary};
pub use port::{MAX_VISIBILITY, Queue};

/// The README's example is compiled like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
