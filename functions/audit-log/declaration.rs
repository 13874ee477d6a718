//! The declaration of `audit-log`.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind, Table,
};

events::subscription! {
    /// The events that the consumer handles: every event that is kept forever.
    pub struct Event: KeptForever by Cursor;
}

/// The audit log. Only the pages of anchors expire: entries, heads and anchors are kept forever.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new("Audit", "AUDIT_TABLE", "The audit log, chains and anchors.")
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "audit-log",
    "Appends every event that is kept forever to its aggregate's chain.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.about("It handles the events of an aggregate in the order of the event log.")
.owning(&[Access::to(&TABLE, &[Get, Put])]);
