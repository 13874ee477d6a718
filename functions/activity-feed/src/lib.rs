//! `activity-feed`: writes down what happened to a user's points, for them to read.

pub mod handler;
