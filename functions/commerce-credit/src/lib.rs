//! `commerce-credit`: reserves the credit of businesses for their orders.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
