//! What `wallet-balances` is.

use crate::{Access, Action::Put, Consumer, Function, Kind, functions::wallet_api};

events::subscription! {
    /// What the consumer listens to.
    pub enum Event {
        /// A balance state of an account changed.
        BalanceUpdated(events::contracts::wallet::BalanceUpdated) by Guard,
    }
}

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "wallet-balances",
    "Keeps the newest balance of every wallet account, to be read.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(&wallet_api::TABLE, &[Put])]);
