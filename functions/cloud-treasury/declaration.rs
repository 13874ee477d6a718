//! What `cloud-treasury` is.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Update},
    Consumer, Function, Kind, Setting,
    functions::cloud_api,
    parameters,
};

events::subscription! {
    /// What the treasury listens to.
    pub enum Event {
        /// Credits came into being.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Credits ceased to be.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// Credits were used up.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// The reserve may have moved.
        AccountChanged(events::contracts::treasury::AccountChanged) by Mark,
    }
}

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-treasury",
    "Keeps the outstanding credits and warns when they are not backed.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(
    &cloud_api::TABLE,
    &[Get, BatchGet, Put, Update, Check],
)])
.with_settings(&[Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE)]);
