//! Tests of the outbox's public API, over its adapters in memory.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test fails by panicking"
)]

mod execute;
mod faulty;
mod fixtures;
mod group;
mod identity;
mod memory;
mod relay;
mod republish;
mod retention;
mod series;
