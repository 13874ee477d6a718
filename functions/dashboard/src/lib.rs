//! `dashboard`: the dashboard's page, the status of the lanes, and stream tokens. The streams themselves are
//! `event-stream`'s.

pub mod ages;
pub mod config;
pub mod files;
pub mod lanes;
pub mod letters;
pub mod paused;
pub mod router;
