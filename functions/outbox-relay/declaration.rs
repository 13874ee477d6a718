//! The declaration of `outbox-relay`.

use crate::{
    Access,
    Action::{BatchWrite, Put},
    Function, Kind, Need, Setting, tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "outbox-relay",
    "Reads the event log's stream and publishes to the bus.",
    Kind::Relay,
)
.owning(&[Access::to(&tables::EVENTS, &[BatchWrite, Put])])
.needing(&[Need::Publish])
.with_settings(&[
    Setting::text(
        "PUBLISH_ATTEMPTS",
        "3",
        "Attempts of a call within one invocation, 1 to 10.",
    ),
    Setting::text(
        "CIRCUIT_FAILURES",
        "5",
        "Consecutive failed calls, at least 1, after which the circuit opens and calls are skipped.",
    ),
    Setting::text(
        "CIRCUIT_OPEN_SECONDS",
        "60",
        "Seconds for which the circuit stays open, in that instance.",
    ),
]);
