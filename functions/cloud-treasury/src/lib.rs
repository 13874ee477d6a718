//! `cloud-treasury`: keeps the total of outstanding credits and warns when the reserve does not back it.

pub mod config;
pub mod handler;
