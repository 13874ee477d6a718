//! The declaration of `operator-api`.

use crate::{
    Access,
    Action::{BatchGet, Get, Put, Query},
    Api, Function, Kind, Method, Need,
    functions::{analytics, cloud_api, dead_letters, notifications, wallet_api},
    tables,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "operator-api",
    "Dead letters, the operations over them, replays, the pausing of consumers, and what scheduled jobs are at.",
    Kind::Api(Api::of(&[
        (Method::Get, "/api/v1/letters"),
        (Method::Get, "/api/v1/letters/{proxy+}"),
        (Method::Post, "/api/v1/letters/{proxy+}"),
        (Method::Get, "/api/v1/consumers"),
        (Method::Get, "/api/v1/jobs"),
        (Method::Post, "/api/v1/consumers/{proxy+}"),
        (Method::Post, "/api/v1/replays"),
    ])),
)
.owning(&[Access::to(&dead_letters::TABLE, &[Get, BatchGet, Query, Put]).and_indexes(&["listed"])])
.reading(&[
    // What stands in the event log is not edited, and can be replayed.
    Access::to(&tables::EVENTS, &[Query]),
    // About how many events a replay has.
    Access::to(&analytics::TABLE, &[Query]),
    // The rows that show that a consumer by guard handled an event.
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),
    Access::to(&cloud_api::TABLE, &[Get]).if_deployed(),
])
.needing(&[Need::PauseConsumers, Need::KnowLanesAndLog, Need::Domains]);
