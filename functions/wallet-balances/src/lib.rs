//! `wallet-balances`: keeps the newest balance of every wallet account, to be read.

pub mod handler;
