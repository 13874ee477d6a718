//! The adapters for AWS with scripted HTTP answers: the requests they send, and how they handle the answers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod dynamo;
mod eventbridge;
mod secrets;
mod stub;
