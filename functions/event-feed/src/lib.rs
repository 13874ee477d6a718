//! `event-feed`: gives every event its position in the feed, in the order of its aggregate.

pub mod handler;
