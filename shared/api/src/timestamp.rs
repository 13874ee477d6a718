//! Timestamps in requests: an RFC 3339 time with any offset, or a day.

use std::borrow::Cow;

use events::Timestamp;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// A timestamp in a request: `2026-04-01T12:30:00Z`, with any offset and fraction, or a day, which begins at midnight
/// UTC. It is stored in UTC with millisecond precision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct TimestampInput(Timestamp);

impl TimestampInput {
    /// The timestamp.
    #[must_use]
    pub fn timestamp(self) -> Timestamp {
        self.0
    }
}

impl<'de> Deserialize<'de> for TimestampInput {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Timestamp::read(&text).map(Self).map_err(de::Error::custom)
    }
}

impl JsonSchema for TimestampInput {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Moment".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "format": "moment", "examples": ["2026-04-01", "2026-04-01T12:30:00Z"],
            "x-expected": "a day (YYYY-MM-DD, midnight UTC) or a time with its offset (RFC 3339; in a query a + is written %2B)"
        })
    }
}
