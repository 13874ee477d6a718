//! What `cloud-chain-sync` is.

use crate::{
    Access,
    Action::{Check, Get, Put, Update},
    Consumer, Function, Kind, Setting, Value,
    functions::cloud_api,
    parameters,
};

events::subscription! {
    /// What the consumer listens to.
    pub enum Event {
        /// Credits came into being.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Credits moved: two balances to find on the chain.
        Transferred(events::contracts::cloud::Transferred) by Mark,
        /// Credits were used up.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// Credits ceased to be.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// A member, with an address or without.
        Registered(events::contracts::member::Registered) by Guard,
        /// A member's name or address may have changed.
        Updated(events::contracts::member::Updated) by Guard,
    }
}

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-chain-sync",
    "Queues a job for every balance that has to be found on the chain.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["cloud"])
.owning(&[Access::to(&cloud_api::TABLE, &[Get, Put, Update, Check])])
.with_settings(&[Setting {
    name: "CHAIN_ENABLED",
    value: Value::IsSet(&parameters::CHAIN_RPC_URL),
}]);
