//! The declaration of `heartbeat-arrival`.

use crate::{Consumer, Function, Kind};

events::subscription! {
    /// The events that the consumer handles.
    pub enum Event {
        /// A heartbeat arrived.
        Heartbeat(events::contracts::system::Heartbeat) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "heartbeat-arrival",
    "Receives the heartbeats, at the end of the way; its silence raises an alarm.",
    Kind::Consumer(Consumer::of::<Event>()),
);
