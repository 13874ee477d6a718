//! The declaration of `commerce-credit`.

use crate::{
    Access,
    Action::{Check, Get, Put},
    Consumer, Function, Kind,
    functions::commerce_pricing_api,
};

events::subscription! {
    /// What orders do with the credit of their customers.
    pub enum Event {
        /// An order was placed.
        Created(events::contracts::order::Created) by Mark,
        /// An order was rejected.
        Rejected(events::contracts::order::Rejected) by Mark,
        /// An order was cancelled.
        Cancelled(events::contracts::order::Cancelled) by Mark,
        /// The goods of an order left the house.
        Shipped(events::contracts::order::Shipped) by Mark,
        /// An order was paid, perhaps in another way than on account.
        Paid(events::contracts::order::Paid) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-credit",
    "Reserves the credit of businesses for their orders.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["commerce"])
.owning(&[Access::to(&commerce_pricing_api::TABLE, &[Check, Get, Put])]);
