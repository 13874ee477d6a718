//! `notifications`: tells members by e-mail and in-app note what happened to their credits, and admins of alerts.

pub mod config;
pub mod handler;
pub mod mail;
pub mod ses;
pub mod texts;
