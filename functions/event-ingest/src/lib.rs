//! `event-ingest`: takes the events that others publish.

pub mod direct;
pub mod ingest;
pub mod router;
