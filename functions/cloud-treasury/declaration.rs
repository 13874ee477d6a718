//! The declaration of `cloud-treasury`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put, Update},
    Consumer, Function, Kind, Setting,
    functions::cloud_api,
    parameters,
};

events::subscription! {
    /// The events that the treasury handles.
    pub enum Event {
        /// Credits were minted.
        Minted(events::contracts::cloud::Minted) by Mark,
        /// Credits were burned.
        Burned(events::contracts::cloud::Burned) by Mark,
        /// Credits were redeemed.
        Redeemed(events::contracts::cloud::Redeemed) by Mark,
        /// The reserve may have changed.
        AccountChanged(events::contracts::treasury::AccountChanged) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "cloud-treasury",
    "Keeps the total of outstanding credits and warns when the reserve does not back them.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(
    &cloud_api::TABLE,
    &[Get, BatchGet, Put, Update, Check],
)])
.with_settings(&[Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE)]);
