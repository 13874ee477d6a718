//! `cloud-reconcile`: compares the books with the chain, member by member, and tells of divergences.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
