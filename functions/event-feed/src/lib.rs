//! `event-feed`: gives every event its position in the feed, in the order of its aggregate.

#[cfg(test)]
mod costs;
pub mod handler;
