//! The declaration of `webhook-sender`.

use events::{
    Contract,
    contracts::webhook::{Disabled, Failing},
};

use crate::{
    Access,
    Action::{Delete, Get, Put, Query},
    Function, Group, Job, Kind, Need, Parameter, Setting,
    functions::{event_feed, notifications, webhook_api},
};

/// How often it looks for retries that are due.
pub const SCHEDULE: Parameter = Parameter::new(
    "WebhookSenderSchedule",
    Group::Webhooks,
    crate::parameters::SCHEDULE_FORM,
    "rate(1 minute)",
    "When the next run of the sender of webhooks begins. A run lasts until the next one has begun, as long as there is an endpoint.",
);

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "webhook-sender",
    "Sends the events of the feed to the endpoints that select them.",
    Kind::Job(Job {
        schedule: &SCHEDULE,
        looks_for: "Webhooks that are due.",
        only_with: None,
        // The last page begins after 50 s, so a run ends about 69 s after its start. The next one, which waits for it, goes on.
        timeout: 92,
        on_error: "webhook-sender keeps failing: endpoints are sent nothing, nothing is lost. `millrace jobs webhook-sender` \
            shows why. An endpoint that does not answer is no error here: `GET /api/v1/webhooks` shows those.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.about("As long as an endpoint is enabled, a run looks at the feed every half second, until the next run takes over.")
.owning(&[Access::to(&webhook_api::TABLE, &[Get, Query, Put, Delete])])
.reading(&[
    Access::to(&event_feed::TABLE, &[Get, Query]),
    // Whether a member wants webhooks.
    Access::to(&notifications::TABLE, &[Get]).if_deployed(),
])
.needing(&[Need::CallEndpoints])
// Twice while an endpoint fails, and once when it is disabled.
.telling(&[Failing::TYPE, Disabled::TYPE])
.with_settings(&[
    // Attempts begin for 23 s; the last one has 15 s, and its result 2 s.
    Setting::text("PAGE_TIMEOUT_MS", "40000", "Time limit of a page in milliseconds: more than an attempt's 15 s."),
    Setting::text("LEASE_SECONDS", "45", "Seconds for which a run holds the lease."),
]);
