//! The declaration of `heartbeat`.

use crate::{
    Access,
    Action::{Get, Put},
    Function, Group, Job, Kind, Parameter, Table,
};

/// How often a heartbeat is sent.
pub const SCHEDULE: Parameter = Parameter::new(
    "HeartbeatSchedule",
    Group::Every,
    crate::parameters::SCHEDULE_FORM,
    "rate(5 minutes)",
    "When a heartbeat is sent the whole way of an event. The alarm rings when none arrives for 15 minutes, so keep it at 5 minutes or less.",
);

/// The function's table: the number of the last heartbeat.
pub const TABLE: Table = Table::new(
    "Heartbeat",
    "HEARTBEAT_TABLE",
    "The number of the last heartbeat.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "heartbeat",
    "Sends an event the whole way every 5 minutes; `heartbeat-arrival` receives it.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "A heartbeat, to be sent the whole way of an event.",
        only_with: None,
        timeout: 30,
        on_error: "Runs of heartbeat fail: no heartbeat is committed. `millrace jobs heartbeat` shows why. DynamoDB or a permission is the usual reason, \
            and then commands and consumers fail too.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.owning(&[Access::to(&TABLE, &[Get, Put])]);
