//! The operator's tool of Millrace as a library: the binary `millrace` reads the command line and calls it, tests call
//! [`audit`](mod@audit) directly.

pub mod audit;
mod check;
pub mod command;
mod keys;
mod output;
mod republish;
mod span;
