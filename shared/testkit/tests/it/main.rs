//! The kit itself: what the spine costs on it, and Flow.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod costs;
mod flow;
