//! The declaration of `event-stream`.

use crate::{
    Access,
    Action::{Get, Put, Query},
    Endpoint, Function, Kind, Need, Setting, Table,
    functions::event_feed,
    parameters, tables,
};

/// The function's table: which streams are open.
pub const TABLE: Table = Table::new(
    "StreamLeases",
    "STREAM_LEASES_TABLE",
    "The places of open streams, of each API key and of the stack.",
)
.expiring();

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "event-stream",
    "The feed as server-sent events.",
    Kind::Stream(Endpoint {
        // A stream goes on if its client is gone: "streamed responses are not interrupted or stopped when the invoking
        // client connection is broken" (https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html,
        // read 2026-11-29). So this is how long a request can occupy an instance.
        timeout: 60,
        reserved: &parameters::STREAM_RESERVED_CONCURRENCY,
        url: &parameters::STREAM_FUNCTION_URL,
    }),
)
.about("It is behind a Function URL, which can stream responses; the front cannot. Each stream occupies an instance until its end, at most a minute, even if its client is gone: so leases limit the streams of each API key and of the stack. The function itself checks API keys and stream tokens.")
.owning(&[Access::to(&TABLE, &[Query, Put])])
.reading(&[
    Access::to(&event_feed::TABLE, &[Get, Query]),
    Access::to(&tables::KEYS, &[Get]),
])
.needing(&[Need::StreamTokens])
.with_settings(&[
    Setting::of("POLL_MS", &parameters::STREAM_POLL_MS),
    Setting::of("LEASED_STREAMS", &parameters::STREAMS_AT_MOST),
    Setting::of("LEASED_STREAMS_PER_KEY", &parameters::STREAMS_PER_KEY),
]);
