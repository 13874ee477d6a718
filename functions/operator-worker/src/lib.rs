//! `operator-worker`: closes dead letters whose event was handled meanwhile, carries out operations over dead letters,
//! replays and republications, and has Lambda do what operators wish about consumers.
//!
//! * [`config`]: its settings.
//! * [`job`]: its pages.
//! * [`lanes`]: the port to the consumers' lanes.
//! * [`replay`]: the pages of a replay of logged events.
//! * [`republish`]: the pages of a republication of pending events.
//! * [`wishes`]: which consumers are to be paused.

pub mod config;
pub mod job;
pub mod lanes;
pub mod replay;
pub mod republish;
pub mod wishes;

#[cfg(test)]
mod costs;
#[cfg(test)]
mod fixtures;
