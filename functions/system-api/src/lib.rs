//! `system-api`: health, the OpenAPI document, the event log, the contracts, analytics and the API keys.

pub mod analytics;
pub mod asyncapi;
pub mod config;
pub mod contracts;
pub mod events;
pub mod health;
pub mod keys;
pub mod router;
pub mod stats;
pub mod witness;
