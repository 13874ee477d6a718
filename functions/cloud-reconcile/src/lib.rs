//! `cloud-reconcile`: compares the books with the chain, member by member, and publishes divergences.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
