//! `audit-anchor`: seals the heads of all chains, every hour.

pub mod config;
pub mod job;
