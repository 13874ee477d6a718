//! `commerce-order-timer`: names orders that are stuck, cancels those that took too long, ends quotes whose time is over, and tells when price lists
//! begin and end.
//!
//! * [`config`]: its settings.
//! * [`job`]: what a run does.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
