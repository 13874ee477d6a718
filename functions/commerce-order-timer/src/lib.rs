//! `commerce-order-timer`: names orders that are stuck, and cancels those that took too long.
//!
//! * [`config`]: its settings.
//! * [`job`]: what a run does.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
