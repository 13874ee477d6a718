//! What a domain, or a consumer with rows of its own, adds to the audit beyond the generic checks. One more is one file
//! here and one line in the list.

mod analytics;
mod cloud;
mod commerce;
mod domain;
mod feed;
mod list;
mod loan;
mod notifications;
mod settlement;
mod states;
mod wallet;

pub(super) use domain::{DomainAudit, HandlingStatus};
pub(super) use list::domains;
