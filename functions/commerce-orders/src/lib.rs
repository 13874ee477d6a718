//! `commerce-orders`: moves orders as credit and stock answer.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
