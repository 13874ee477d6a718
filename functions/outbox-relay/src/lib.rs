//! The relay: reads the event log's stream, publishes to the bus, records in the log that it did.
//!
//! The logic is [`outbox::relay`]; here are its settings.

pub mod config;
