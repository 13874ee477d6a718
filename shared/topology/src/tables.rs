//! The tables of the spine. A domain's table is declared beside the function that serves the domain, and a consumer's
//! own table beside the consumer.

use crate::{Key, Table};

/// The event log.
pub const EVENTS: Table = Table {
    key: Key::Aggregate,
    expires: true,
    stream: true,
    ..Table::new("Events", "EVENTS_TABLE", "The event log.")
};

/// The marks.
pub const MARKS: Table = Table {
    key: Key::Mark,
    expires: true,
    ..Table::new(
        "Marks",
        "MARKS_TABLE",
        "The marks of handled events and requests.",
    )
};

/// The API keys.
pub const KEYS: Table = Table::new("Keys", "KEYS_TABLE", "API keys, hashed.");
