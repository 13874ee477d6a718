//! The operator's tool of Millrace as a library. The binary `millrace` calls [`command::run`]; tests also call
//! [`audit`](mod@audit), [`audit_log`] and [`notifications`] directly.

pub mod audit;
pub mod audit_log;
mod chain;
mod check;
mod check_log;
pub mod command;
mod completions;
mod consumers;
mod contracts;
mod env_file;
mod events;
mod jobs;
mod keys;
mod letters;
mod names;
pub mod notifications;
mod operations;
mod output;
mod place;
mod replay;
mod republish;
pub mod resources;
mod span;
mod stack_api;
mod status;
