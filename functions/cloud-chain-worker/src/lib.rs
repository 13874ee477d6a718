//! `cloud-chain-worker`: looks on the chain for the balances that jobs wait for.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
