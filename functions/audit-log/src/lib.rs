//! `audit-log`: puts every event of the money domains into its aggregate's chain, in order.

pub mod handler;
