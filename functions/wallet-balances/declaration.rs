//! The declaration of `wallet-balances`.

use crate::{Access, Action::Put, Consumer, Function, Kind, functions::wallet_api};

events::subscription! {
    /// The events that the consumer handles.
    pub enum Event {
        /// One balance state of an account changed.
        BalanceUpdated(events::contracts::wallet::BalanceUpdated) by Guard,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "wallet-balances",
    "Keeps the newest balances of every wallet account for reads.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(&wallet_api::TABLE, &[Put])]);
