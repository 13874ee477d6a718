//! The declaration of `commerce-orders`.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind,
    functions::commerce_pricing_api,
};

events::subscription! {
    /// The answers of credit and stock to an order, and its payments.
    pub enum Event {
        /// Credit was reserved, refused or paid.
        Credit(events::contracts::credit::ReservationChanged) by Mark,
        /// Goods were reserved, or there was not enough of them.
        Stock(events::contracts::stock::ReservationChanged) by Mark,
        /// A payment was captured, perhaps one that is for an order.
        Payment(events::contracts::payment::StatusChanged) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-orders",
    "Moves orders as credit and stock answer.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["commerce"])
.owning(&[Access::to(&commerce_pricing_api::TABLE, &[Get, Put])]);
