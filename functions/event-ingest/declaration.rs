//! The declaration of `event-ingest`.

use crate::{
    Access,
    Action::{Get, Put},
    Api, Function, Kind, Method, Need, Table,
};

/// The function's table: the last number of each aggregate, and the facts that were accepted.
pub const TABLE: Table = Table::new(
    "Ingest",
    "INGEST_TABLE",
    "Sequence numbers and facts of the events that other systems publish.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    events::OUTSIDE,
    "Accepts the events that other systems publish, by POST /api/v1/events or by invocation.",
    Kind::Api(Api::of(&[(Method::Post, "/api/v1/events")])),
)
.owning(&[Access::to(&TABLE, &[Get, Put])])
// A bus ignores the function's answer. So an event from a bus that is refused is kept, and an alarm rings.
.needing(&[Need::KeepFailures]);
