//! `commerce-stock`: reserves the goods of orders.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
