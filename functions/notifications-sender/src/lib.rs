//! `notifications-sender`: works off what all members are told, page by page, and then sends the mails, one by one.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
