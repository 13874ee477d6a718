//! `commerce-carts`: writes down which carts must follow a change.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
