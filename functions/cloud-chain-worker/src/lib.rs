//! `cloud-chain-worker`: checks on the chain the balances that jobs wait for.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
