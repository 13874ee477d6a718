//! The declaration of `commerce-stock`.

use crate::{
    Access,
    Action::{BatchGet, Check, Get, Put},
    Consumer, Function, Kind,
    functions::commerce_pricing_api,
};

events::subscription! {
    /// What orders do with their goods.
    pub enum Event {
        /// The goods of an order are to be reserved.
        Requested(events::contracts::order::StockRequested) by Mark,
        /// An order was cancelled.
        Cancelled(events::contracts::order::Cancelled) by Mark,
        /// The goods of an order left the house.
        Shipped(events::contracts::order::Shipped) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-stock",
    "Reserves the goods of orders.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["commerce"])
.owning(&[Access::to(
    &commerce_pricing_api::TABLE,
    &[Check, Get, BatchGet, Put],
)]);
