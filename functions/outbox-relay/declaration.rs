//! What `outbox-relay` is.

use crate::{
    Access,
    Action::{BatchWrite, Put},
    Function, Kind, Need, Setting, tables,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "outbox-relay",
    "Reads the event log's stream and publishes to the bus.",
    Kind::Relay,
)
.owning(&[Access::to(&tables::EVENTS, &[BatchWrite, Put])])
.needing(&[Need::Publish])
.with_settings(&[
    Setting::text("PUBLISH_ATTEMPTS", "3"),
    Setting::text("CIRCUIT_FAILURES", "5"),
    Setting::text("CIRCUIT_OPEN_SECONDS", "60"),
]);
