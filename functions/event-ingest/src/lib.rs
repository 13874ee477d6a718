//! `event-ingest`: accepts the events that other systems publish.

pub mod direct;
pub mod ingest;
pub mod router;
