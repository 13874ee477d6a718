//! `commerce-cart-worker`: keeps carts up to date.
//!
//! * [`job`]: what a run does.

#[cfg(test)]
mod costs;
pub mod job;
