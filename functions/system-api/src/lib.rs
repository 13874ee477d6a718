//! `system-api`: health, the OpenAPI document, the event log, the contracts and the API keys.

pub mod config;
pub mod health;
pub mod keys;
pub mod log;
pub mod router;
