//! Tests the function as its callers see it, over the in-memory store.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod contracts;
mod http;
mod lookups;
