//! What a domain, or a consumer that keeps rows of its own, adds to an audit beyond its states: one file and one line here.

mod analytics;
mod cloud;
mod domain;
mod feed;
mod list;
mod loan;
mod notifications;
mod settlement;
mod states;
mod wallet;

pub(super) use domain::{DomainAudit, Seen};
pub(super) use list::domains;
