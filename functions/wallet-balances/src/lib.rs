//! `wallet-balances`: keeps the newest balance of every wallet account, to be read.

#[cfg(test)]
mod costs;
pub mod handler;
