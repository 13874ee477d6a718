//! Tests the function from outside: its router in process, and the cost of its operations.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod http;
mod service;
mod usage;
