//! Tests of the consumer runtime's public API, over the store in memory and a scripted queue.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod bench;
mod glue;
mod in_order;
mod marks;
mod parking;
mod protocol;
mod retries;
mod schedule;
mod time;
