//! `loan-servicing`: creates a loan's payment schedule after it is funded, modified or drawn on.
//!
//! * [`handler`]: what it does for an event.

#[cfg(test)]
mod costs;
pub mod handler;
#[cfg(test)]
mod seed;
