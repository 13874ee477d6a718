//! Tests the function from outside: its router in process, and its bootstrap on a Runtime API.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod http;
mod lambda;
mod leases;
