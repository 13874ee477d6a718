//! `heartbeat-arrival`: the end of a heartbeat's way.

pub mod handler;
