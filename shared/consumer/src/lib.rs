//! The consumer runtime: drains a consumer's lanes, one handler behind it, safe against everything that repeats or fails.
//!
//! * [`Handler`] is what a consumer writes: typed events and a transaction in, a decision out.
//! * [`Failure`] says what may be done: retry (the default for any error), unavailable, park.
//! * [`Runner`] handles a batch: each record by itself, with a time limit, on the retry schedule, parked with its reason.
//! * [`queue::run`] and [`stream::run`] host a handler and the relay on Lambda.
//! * [`schedule`] hosts jobs that a schedule starts: one runner at a time, page by page.
//!
//! Correctness rests on marks, guards and cursors, which are durable. What this crate keeps in memory (which messages were
//! returned unbegun) and by visibility only spaces repeats.

mod batch;
mod config;
mod failure;
mod handler;
mod in_order;
mod letter;
mod outcome;
mod port;
pub mod queue;
pub mod schedule;
pub mod stream;

pub use batch::Runner;
pub use config::{Config, Lane, Lanes, Settings};
pub use failure::{Class, Failure};
pub use handler::{Handler, Received};
pub use letter::{ERROR_MAX_BYTES, Letter, ParkReason};
pub use outcome::{Delivery, Finished, Message, Outcome, Summary};
pub use port::{MAX_VISIBILITY, Queue};

/// The README's example is compiled like any other.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
