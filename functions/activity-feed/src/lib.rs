//! `activity-feed`: keeps a list of what happened to a user's escrows, for the user to read.

#[cfg(test)]
mod costs;
pub mod handler;
