//! What `notifications-sender` is.

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query, Update},
    Function, Job, Kind, Need, Setting,
    functions::notifications,
    parameters,
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "notifications-sender",
    "Tells all members of a rate card, and sends their mails one by one.",
    Kind::Job(Job {
        schedule: &parameters::NOTIFICATIONS_SENDER_SCHEDULE,
        looks_for: "Rate cards to tell of, and mails that wait.",
        only_with: None,
        // About a minute's mails: the next run goes on where this one's time ends.
        timeout: 60,
        on_error: "notifications-sender failed in three of five minutes: what all members are told stands still, nothing is \
            lost. `millrace jobs notifications-sender` says why. Throttled by SES: its daily quota is used up (200 in the sandbox) \
            and it goes on by itself tomorrow, or MailsPerSecond is above what the account may send.",
        first_error_rings: false,
        alarms: &[],
    }),
)
.with_domains(&["cloud"])
.owning(&[
    Access::to(&notifications::TABLE, &[Get, BatchGet, Query, Put, Update, Delete, Check]).and_indexes(&["subnamed"]),
])
.needing(&[Need::SendMail])
.with_settings(&[
    Setting::of("CLOUD_USD_RATE", &parameters::CLOUD_USD_RATE),
    Setting::of("APP_URL", &parameters::APP_URL),
    Setting::of("FANOUT_DELAY_SECONDS", &parameters::FANOUT_DELAY_SECONDS),
    Setting::of("MAILS_PER_SECOND", &parameters::MAILS_PER_SECOND),
]);
