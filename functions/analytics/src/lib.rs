//! `analytics`: counts events and sums their amounts, by hour and by day, per type and per member.

#[cfg(test)]
mod costs;
pub mod handler;
