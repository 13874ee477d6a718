//! The declaration of `event-feed`.

use crate::{
    Access,
    Action::{Get, Put},
    Consumer, Function, Kind, Setting, Table, parameters,
};

events::subscription! {
    /// The events that the consumer handles: every event.
    pub struct Event: Every by Cursor;
}

/// The feed. A reader can resume from any row that has not expired.
pub const TABLE: Table = Table {
    expires: true,
    ..Table::new(
        "Feed",
        "EVENT_FEED_TABLE",
        "Every event, by its position in the feed.",
    )
};

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "event-feed",
    "Gives every event a position in the feed.",
    // All instances move the feed's head, so more of them only add conflicts.
    Kind::Consumer(Consumer::of::<Event>().limited_to(2)),
)
.about(
    "event-stream reads the feed. All instances move the feed's head, so a lane has at most two.",
)
.owning(&[Access::to(&TABLE, &[Get, Put])])
.with_settings(&[Setting::of(
    "FEED_RETENTION_DAYS",
    &parameters::FEED_RETENTION_DAYS,
)]);
