//! `commerce-order-timer`: names orders that are stuck, cancels those that took too long, and ends quotes whose time is over.
//!
//! * [`config`]: its settings.
//! * [`job`]: what a run does.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
