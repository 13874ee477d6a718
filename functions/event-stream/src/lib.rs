//! `event-stream`: serves the feed as server-sent events, and the other data that a dashboard needs.
//!
//! One router has two hosts: Lambda's response streaming if there is a Runtime API, and an ordinary HTTP server
//! otherwise.

pub mod ages;
pub mod config;
pub mod dashboard;
pub mod filter;
pub mod handled;
pub mod hub;
pub mod lanes;
mod openapi;
pub mod router;
pub mod serve;
mod stream;
pub mod token;
