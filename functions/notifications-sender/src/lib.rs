//! `notifications-sender`: works through the notices for all members, page by page, and then sends the mails one by
//! one.

pub mod config;
#[cfg(test)]
mod costs;
pub mod job;
