//! What each domain, and each consumer that keeps rows of its own, adds to an audit: one file and one line here.

mod analytics;
mod cloud;
mod domain;
mod feed;
mod list;
mod member;
mod notifications;
mod settlement;
mod wallet;

pub(super) use domain::{DomainAudit, Seen};
pub(super) use list::domains;
