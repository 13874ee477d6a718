//! Tests the function from outside: its router in process.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod consumers;
mod http;
mod jobs;
mod replays;
mod republish;
