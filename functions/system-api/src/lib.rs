//! `system-api`: health, the OpenAPI document, the event log, the contracts, analytics and the API keys.

pub mod analytics;
pub mod config;
pub mod health;
pub mod keys;
pub mod log;
pub mod router;
pub mod witness;
