//! `wallet-balances`: keeps the newest balances of every wallet account for reads.

#[cfg(test)]
mod costs;
pub mod handler;
