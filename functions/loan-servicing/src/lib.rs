//! `loan-servicing`: plans how a loan is paid back, as soon as it is funded, changed or drawn on.
//!
//! * [`handler`]: what it does about an event.

#[cfg(test)]
mod costs;
pub mod handler;
#[cfg(test)]
mod seed;
