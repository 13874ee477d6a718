//! What `audit-log` is.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind, Table,
};

events::subscription! {
    /// What the consumer listens to: every event that is kept for ever, which are those of the money domains.
    pub struct Event: KeptForever by Cursor;
}

/// The audit log. Only the pages of anchors expire: entries, heads and anchors are for ever.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new("Audit", "AUDIT_TABLE", "The audit log, chains and anchors.")
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "audit-log",
    "Puts every event that is kept for ever into its aggregate's chain.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.about("In order, as the events stand in the event log.")
.owning(&[Access::to(&TABLE, &[Get, Put])]);
