//! The declaration of `commerce-catalog`.

use events::{Contract, contracts::product::Updated};

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put},
    Consumer, Function, Kind,
    functions::commerce_pricing_api,
};

events::subscription! {
    /// What the catalogue shows of other modules.
    pub enum Event {
        /// How much of a variant can be sold.
        Stock(events::contracts::stock::Changed) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-catalog",
    "Tells with a product how much of it can be sold.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["commerce"])
.emitting(&[Updated::TYPE])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Put],
)]);
