//! `cloud-treasury`: keeps the total of outstanding credits and watches that the reserve backs it.

pub mod config;
pub mod handler;
