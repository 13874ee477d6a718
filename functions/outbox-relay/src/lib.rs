//! The relay reads the event log's stream, publishes the events to the bus, and records in the log that they are
//! published.
//!
//! The logic is in [`outbox::relay`]. This crate has its settings.

pub mod config;
