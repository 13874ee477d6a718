//! What `event-ingest` is.

use crate::{
    Access,
    Action::{Get, Put},
    Api, Function, Kind, Method, Need, Table,
};

/// What it keeps: how far the events of each aggregate are numbered, and the facts that were told.
pub const TABLE: Table = Table::new(
    "Ingest",
    "INGEST_TABLE",
    "Numbers and facts of the events that others publish.",
);

/// The declaration.
pub const FUNCTION: Function = Function::new(
    events::OUTSIDE,
    "Takes the events that others publish, by POST /api/v1/events or by invocation.",
    Kind::Api(Api::of(&[(Method::Post, "/api/v1/events")])),
)
.owning(&[Access::to(&TABLE, &[Get, Put])])
// What a bus hands over and is refused is nobody's answer: it is kept, and rings.
.needing(&[Need::KeepFailures]);
