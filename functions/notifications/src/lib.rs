//! `notifications`: notifies members by e-mail and in-app note of what happened to their credits, customers by e-mail of
//! what happened to their orders, and admins of alerts. It hands notices for all members over to `notifications-sender`.

pub mod config;
pub mod handler;
