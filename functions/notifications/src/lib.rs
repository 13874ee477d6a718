//! `notifications`: tells members by e-mail and in-app note what happened to their credits, and admins of what they must
//! look at. What all members are told it hands over to `notifications-sender`.

pub mod config;
pub mod handler;
