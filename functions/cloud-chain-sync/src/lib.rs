//! `cloud-chain-sync`: queues a job for every balance that must be checked on the chain.

pub mod config;
#[cfg(test)]
mod costs;
pub mod handler;
