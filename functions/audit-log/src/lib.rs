//! `audit-log`: appends every event of the money domains to its aggregate's chain, in order.

#[cfg(test)]
mod costs;
pub mod handler;
