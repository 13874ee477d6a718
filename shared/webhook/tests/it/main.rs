//! Judges addresses and URLs by independent lists, and posts to servers on the loopback address.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod addresses;
mod client;
mod server;
mod targets;
mod tls;
