//! The declaration of `event-stream`.

use crate::{
    Access,
    Action::{Get, Query},
    Endpoint, Function, Kind, Need, Setting,
    functions::{cloud_api, event_feed, notifications, wallet_api},
    parameters, tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "event-stream",
    "The feed as server-sent events, and the dashboard.",
    Kind::Stream(Endpoint {
        // A connection can last as long as an invocation can.
        timeout: 900,
        reserved: &parameters::STREAM_RESERVED_CONCURRENCY,
    }),
)
.about("It is behind a Function URL, which can stream responses; the REST API cannot. Each connection occupies an instance while it lasts, so StreamReservedConcurrency limits the connections. The function itself checks API keys and stream tokens.")
.reading(&[
    Access::to(&event_feed::TABLE, &[Get, Query]),
    Access::to(&tables::EVENTS, &[Get, Query]),
    Access::to(&tables::KEYS, &[Get]),
    Access::to(&tables::MARKS, &[Get]),
    // The rows that show that a consumer handled an event.
    Access::to(&cloud_api::TABLE, &[Get]).if_deployed(),
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),
])
.needing(&[Need::WatchLanes, Need::Domains])
.with_settings(&[
    Setting::of("STREAM_TOKEN_SECRET", &parameters::STREAM_TOKEN_SECRET),
    Setting::of("POLL_MS", &parameters::STREAM_POLL_MS),
]);
