//! `operator-worker`: closes dead letters whose event was handled meanwhile, and carries out operations over dead
//! letters.
//!
//! * [`config`]: its settings.
//! * [`job`]: its pages.
//! * [`lanes`]: the port to the consumers' lanes.

pub mod config;
pub mod job;
pub mod lanes;

#[cfg(test)]
mod costs;
