//! What `event-feed` is.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind, Setting, Table, parameters,
};

events::subscription! {
    /// What the consumer listens to: every event there is.
    pub struct Event: Every by Cursor;
}

/// The feed. A reader may resume as far back as a row lives.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new(
        "Feed",
        "EVENT_FEED_TABLE",
        "Every event, by its position in the feed.",
    )
};

/// The declaration.
pub const FUNCTION: Function = Function::new(
    "event-feed",
    "Gives every event its position in the feed.",
    // All records share the feed's head.
    Kind::Consumer(Consumer::of::<Event>().limited_to(2, 1)),
)
.about("For those who watch (event-stream). All records share the feed's head: one at a time within an instance, two instances a lane.")
.owning(&[Access::to(&TABLE, &[Get, Put])])
.with_settings(&[Setting::of("FEED_RETENTION_DAYS", &parameters::FEED_RETENTION_DAYS)]);
