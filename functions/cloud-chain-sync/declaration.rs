//! The declaration of `cloud-chain-sync`.

use crate::{
    Access,
    Action::{Check, Get, Put, Update},
    Consumer, Function, Kind, Setting, Value,
    functions::cloud_api,
    parameters,
};

events::subscription! {
    /// The events that the consumer handles.
    pub enum Event {
        /// Credits were minted.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Credits moved, which changes two balances on the chain.
        Transferred(events::contracts::cloud::Transferred) by Mark,
        /// Credits were redeemed.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// Credits were burned.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// A member was registered, with or without an address.
        Registered(events::contracts::member::Registered) by Guard,
        /// A member's name or address may have changed.
        Updated(events::contracts::member::Updated) by Guard,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-chain-sync",
    "Queues a job for every balance that must be checked on the chain.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["cloud"])
.owning(&[Access::to(&cloud_api::TABLE, &[Get, Put, Update, Check])])
.with_settings(&[Setting {
    name: "CHAIN_ENABLED",
    value: Value::IsSet(&parameters::CHAIN_RPC_URL),
}]);
