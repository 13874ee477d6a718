//! `dead-letters`: writes every message of the dead-letter queue into a row.

pub mod handler;

#[cfg(test)]
mod costs;
