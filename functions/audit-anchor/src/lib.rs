//! `audit-anchor`: seals the heads of all chains, every hour.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
