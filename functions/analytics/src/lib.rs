//! `analytics`: counts events and sums what they moved, by the hour and by the day, per type and per member.

#[cfg(test)]
mod costs;
pub mod handler;
