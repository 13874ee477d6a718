//! The function from outside: its router in process, and what its operations cost.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod http;
mod service;
