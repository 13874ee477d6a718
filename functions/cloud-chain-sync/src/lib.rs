//! `cloud-chain-sync`: queues a job for every balance that has to be found on the chain.

pub mod config;
#[cfg(test)]
mod costs;
pub mod handler;
