//! Tests of the kit itself: what the spine costs, and Flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod flow;
