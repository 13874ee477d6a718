//! `event-stream`: serves the feed as server-sent events.
//!
//! One router has two hosts: Lambda's response streaming if there is a Runtime API, and an ordinary HTTP server
//! otherwise. On Lambda each connection occupies an instance until its end, even if the client is gone: so it is short,
//! and [`leases`] count the connections of the whole stack.

pub mod config;
pub mod hub;
pub mod leases;
mod openapi;
pub mod query;
pub mod router;
pub mod serve;
mod stream;
