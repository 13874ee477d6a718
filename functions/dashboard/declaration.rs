//! The declaration of `dashboard`.

use crate::{
    Access, Action::Get, Api, Function, Kind, Method, Need, functions::dead_letters, tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "dashboard",
    "The dashboard's page, the status of the lanes, and stream tokens.",
    Kind::Api(
        Api::of(&[
            (Method::Get, "/dashboard"),
            (Method::Get, "/dashboard/{proxy+}"),
            (Method::Get, "/api/v1/status"),
            (Method::Post, "/api/v1/stream-tokens"),
        ])
        .without_state(),
    ),
)
.about("It answers at once, so that only streams themselves occupy the instances of event-stream.")
.reading(&[
    Access::to(&tables::KEYS, &[Get]),
    Access::to(&dead_letters::TABLE, &[]).and_indexes(&["listed"]),
])
.needing(&[
    Need::WatchLanes,
    Need::Domains,
    Need::StreamTokens,
    Need::StreamAddress,
]);
