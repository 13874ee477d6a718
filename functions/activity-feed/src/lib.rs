//! `activity-feed`: writes down what happened to a user's points, for them to read.

#[cfg(test)]
mod costs;
pub mod handler;
