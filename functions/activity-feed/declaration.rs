//! The declaration of `activity-feed`.

use crate::{Access, Action::Put, Consumer, Function, Kind, Table};

events::subscription! {
    /// What the consumer listens to: all that becomes of an escrow.
    pub enum Event {
        /// Points were set aside.
        Held(events::contracts::wallet::EscrowHeld) by Mark,
        /// All of them were earned.
        Settled(events::contracts::wallet::EscrowSettled) by Mark,
        /// All of them came back.
        Refunded(events::contracts::wallet::EscrowRefunded) by Mark,
        /// A part came back, the rest was earned.
        PartialSettled(events::contracts::wallet::EscrowPartialSettled) by Mark,
    }
}

/// The function's table.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new(
        "Activity",
        "ACTIVITY_TABLE",
        "What became of a user's points.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "activity-feed",
    "Keeps what became of a user's points.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.owning(&[Access::to(&TABLE, &[Put])]);
