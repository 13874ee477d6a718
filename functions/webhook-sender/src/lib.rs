//! The webhook sender: a scheduled job. See README.md.

pub mod config;
pub mod job;
pub mod post;
mod turn;

#[cfg(test)]
mod costs;
