//! The operator's tool of Millrace as a library: the binary `millrace` reads the command line and calls it, tests call
//! [`audit`](mod@audit) and [`notifications`] directly.

pub mod audit;
mod chain;
mod check;
pub mod command;
mod jobs;
mod keys;
pub mod notifications;
mod output;
mod republish;
mod span;
