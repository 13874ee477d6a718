//! The declaration of `notifications-sender`.

use crate::{
    Access,
    Action::{BatchGet, Check, Delete, Get, Put, Query, Update},
    Function, Job, Kind, Need, Setting,
    functions::notifications,
    parameters,
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "notifications-sender",
    "Notifies all members of a rate card, and sends their mails one by one.",
    Kind::Job(Job {
        schedule: &parameters::NOTIFICATIONS_SENDER_SCHEDULE,
        looks_for: "Rate cards to announce, and waiting mails.",
        only_with: None,
        // Enough for about a minute of mails. The next run continues where this one's time ends.
        timeout: 60,
        on_error: "notifications-sender keeps failing: notices to all members are delayed, nothing is \
            lost. `millrace jobs notifications-sender` shows why. If SES throttles, either the daily quota is used up (200 in the \
            sandbox) and sending continues by itself tomorrow, or MailsPerSecond is above the account's limit.",
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
