//! The adapters on AWS over scripted HTTP answers: what is asked, and what is made of the answers.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod dynamo;
mod eventbridge;
mod stub;
