//! The declaration of `operator-worker`.

use crate::{
    Access,
    Action::{BatchWrite, Delete, Get, Put, Query, Scan},
    Function, Group, Job, Kind, Need, Parameter,
    functions::{cloud_api, dead_letters, notifications, wallet_api},
    tables,
};

/// How often operations are carried on.
pub const SCHEDULE: Parameter = Parameter::new(
    "OperatorWorkerSchedule",
    Group::Every,
    crate::parameters::SCHEDULE_FORM,
    "rate(1 minute)",
    "When dead letters that were handled meanwhile are closed, operations over dead letters and replays are carried on, and paused consumers are kept paused.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "operator-worker",
    "Closes dead letters that were handled meanwhile, carries out the operations over dead letters, replays and republications, and keeps paused consumers paused.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "Dead letters that were handled meanwhile, operations over dead letters, replays, republications, and paused consumers.",
        only_with: None,
        // Enough for about 500 letters at 10 a second. The next run continues where this one's time ends.
        timeout: 60,
        on_error: "operator-worker keeps failing: dead letters are neither redriven nor closed, and what is paused may not stay \
            paused; nothing is lost. `millrace jobs operator-worker` shows why. SQS or a permission is the usual reason.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.owning(&[
    Access::to(&dead_letters::TABLE, &[Get, Query, Put, Delete]).and_indexes(&["listed"]),
    // What a replay sends; and what a republication publishes and records, as the relay does.
    Access::to(&tables::EVENTS, &[Query, Scan, BatchWrite, Put]),
])
.reading(&[
    // The rows that show that a consumer by guard handled an event. Marks and cursors are in the marks table.
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
    Access::to(&wallet_api::TABLE, &[Get]).if_deployed(),
    Access::to(&cloud_api::TABLE, &[Get]).if_deployed(),
])
.needing(&[
    Need::SendToLanes,
    Need::PauseConsumers,
    Need::Publish,
    Need::Domains,
]);
