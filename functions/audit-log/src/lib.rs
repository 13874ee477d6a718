//! `audit-log`: puts every event of the money domains into its aggregate's chain, in order.

#[cfg(test)]
mod costs;
pub mod handler;
