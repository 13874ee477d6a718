//! The outbox from outside, over its in-memory and its stubbed adapters.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod dynamo;
mod eventbridge;
mod execute;
mod faulty;
mod fixtures;
mod group;
mod memory;
mod relay;
mod republish;
mod retention;
mod stub;
