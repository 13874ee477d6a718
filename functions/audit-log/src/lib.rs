//! `audit-log`: appends every event that is kept for ever to its aggregate's chain, in order.

#[cfg(test)]
mod costs;
pub mod handler;
