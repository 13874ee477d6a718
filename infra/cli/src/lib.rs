//! The operator's tool of Millrace as a library: the binary `millrace` reads the command line and calls it, tests call
//! [`audit`](mod@audit), [`audit_log`] and [`notifications`] directly.

pub mod audit;
pub mod audit_log;
mod chain;
mod check;
mod check_log;
pub mod command;
mod contracts;
mod events;
mod jobs;
mod keys;
pub mod notifications;
mod output;
mod republish;
pub mod resources;
mod span;
