//! `event-stream`: the feed as server-sent events, and what a dashboard asks for beside it.
//!
//! One router, two hosts: Lambda's response streaming where there is a Runtime API, an ordinary HTTP server elsewhere.

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
