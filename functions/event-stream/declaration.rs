//! What `event-stream` is.

use crate::{
    Access,
    Action::{Get, Query},
    Endpoint, Function, Kind, Need, Setting,
    functions::{cloud_api, event_feed, notifications, wallet_api},
    parameters, tables,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "event-stream",
    "The feed as server-sent events, and the dashboard.",
    Kind::Stream(Endpoint {
        // A connection lasts as long as an invocation can.
        timeout: 900,
        reserved: &parameters::STREAM_RESERVED_CONCURRENCY,
    }),
)
.about("Behind a Function URL, which streams its answers; the REST API does not. Each connection takes an instance for as long as it lasts: StreamReservedConcurrency is how many. Keys and stream tokens are checked inside, as everywhere.")
.reading(&[
    Access::to(&event_feed::TABLE, &[Get, Query]),
    Access::to(&tables::EVENTS, &[Get, Query]),
    Access::to(&tables::KEYS, &[Get]),
    Access::to(&tables::MARKS, &[Get]),
    // The rows by which consumers show that they handled an event.
    Access::to(&cloud_api::TABLE, &[Get]).if_deployed(),
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),
])
.needing(&[Need::WatchLanes, Need::Domains])
.with_settings(&[
    Setting::of("STREAM_TOKEN_SECRET", &parameters::STREAM_TOKEN_SECRET),
    Setting::of("POLL_MS", &parameters::STREAM_POLL_MS),
]);
