//! `commerce-catalog`: tells with a product how much of it can be sold.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
