//! `heartbeat`: sends an event the whole way, on a schedule.

pub mod job;
