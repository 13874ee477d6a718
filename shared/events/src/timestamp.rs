//! A moment in UTC, with millisecond precision.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{
    Date, Duration, OffsetDateTime, PrimitiveDateTime,
    format_description::{StaticFormatDescription, well_known::Rfc3339},
    macros::format_description,
};

/// The format of a day on the wire.
pub(crate) const DAY: StaticFormatDescription = format_description!("[year]-[month]-[day]");

const FORMAT: StaticFormatDescription =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second].[subsecond digits:3]Z");

/// Why a timestamp was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TimestampError {
    /// It does not have the form of the wire.
    #[error("not a UTC time of the form YYYY-MM-DDThh:mm:ss.mmmZ")]
    Form,
    /// It is outside the years 1 to 9999.
    #[error("outside the years 0001 to 9999")]
    Range,
}

/// A moment in UTC with milliseconds. On the wire it is RFC 3339 with exactly three digits and `Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(OffsetDateTime);

impl Timestamp {
    /// 1970-01-01T00:00:00.000Z.
    pub const EPOCH: Self = Self(OffsetDateTime::UNIX_EPOCH);

    /// Converts milliseconds since 1970-01-01T00:00:00Z.
    ///
    /// # Errors
    /// [`TimestampError::Range`] outside the years 0001 to 9999.
    pub fn from_unix_millis(millis: i64) -> Result<Self, TimestampError> {
        let moment = OffsetDateTime::from_unix_timestamp_nanos(i128::from(millis) * 1_000_000)
            .map_err(|_| TimestampError::Range)?;
        if (1..=9999).contains(&moment.year()) {
            Ok(Self(moment))
        } else {
            Err(TimestampError::Range)
        }
    }

    /// Reads a moment as people and other systems write it: an RFC 3339 time with any offset and fraction, or a day,
    /// which means its midnight in UTC. The result is in UTC, truncated to the millisecond.
    ///
    /// # Errors
    /// [`TimestampError`].
    pub fn read(text: &str) -> Result<Self, TimestampError> {
        // The parsers also accept signs before the year.
        if !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(TimestampError::Form);
        }
        let moment = if text.len() == "YYYY-MM-DD".len() {
            let day = Date::parse(text, &DAY).map_err(|_| TimestampError::Form)?;
            day.midnight().assume_utc()
        } else {
            OffsetDateTime::parse(text, &Rfc3339).map_err(|_| TimestampError::Form)?
        };
        let millis = moment.unix_timestamp_nanos().div_euclid(1_000_000);
        Self::from_unix_millis(i64::try_from(millis).map_err(|_| TimestampError::Range)?)
    }

    /// Milliseconds since 1970-01-01T00:00:00Z.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.0.unix_timestamp() * 1_000 + i64::from(self.0.millisecond())
    }

    /// Whole seconds since 1970-01-01T00:00:00Z, the unit of DynamoDB's TTL.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        self.0.unix_timestamp()
    }

    /// The moment a duration later; stops at the end of the range.
    #[must_use]
    pub fn plus(self, span: std::time::Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.unix_millis().saturating_add(millis)).unwrap_or(self)
    }

    /// The moment a duration earlier; [`Self::EPOCH`] if that is before the range.
    #[must_use]
    pub fn minus(self, span: std::time::Duration) -> Self {
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
        Self::from_unix_millis(self.unix_millis().saturating_sub(millis)).unwrap_or(Self::EPOCH)
    }

    /// The duration from `earlier` to this moment; zero if `earlier` is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> std::time::Duration {
        let span: Duration = self.0 - earlier.0;
        std::time::Duration::try_from(span).unwrap_or_default()
    }

    /// The calendar day.
    #[must_use]
    pub fn date(self) -> Date {
        self.0.date()
    }
}

impl FromStr for Timestamp {
    type Err = TimestampError;
    fn from_str(text: &str) -> Result<Self, TimestampError> {
        // The parser also accepts signs and long years; the length check excludes both.
        if text.len() != 24 || !text.as_bytes()[0].is_ascii_digit() {
            return Err(TimestampError::Form);
        }
        let parsed = PrimitiveDateTime::parse(text, &FORMAT).map_err(|_| TimestampError::Form)?;
        if parsed.year() < 1 {
            Err(TimestampError::Range)
        } else {
            Ok(Self(parsed.assume_utc()))
        }
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (h, m, s, ms) = self.0.time().as_hms_milli();
        write!(
            f,
            "{:04}-{:02}-{:02}T{h:02}:{m:02}:{s:02}.{ms:03}Z",
            self.0.year(),
            u8::from(self.0.month()),
            self.0.day()
        )
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Cow::<'de, str>::deserialize(deserializer)?
            .parse()
            .map_err(de::Error::custom)
    }
}

impl JsonSchema for Timestamp {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The registry checks `format` with this same parser, so that schema and decoder both refuse 30 February.
        json_schema!({
            "type": "string", "format": "date-time",
            "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z$",
            "x-expected": "a UTC time of the form YYYY-MM-DDThh:mm:ss.mmmZ"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_moment_prints_as_it_was_written() {
        for text in [
            "2026-02-13T12:00:00.000Z",
            "0001-01-01T00:00:00.000Z",
            "9999-12-31T23:59:59.999Z",
        ] {
            let parsed: Timestamp = text.parse().expect("well formed");
            assert_eq!(parsed.to_string(), text);
        }
    }

    #[test]
    fn other_offsets_precisions_and_impossible_days_are_refused() {
        for text in [
            "2026-02-13T12:00:00Z",
            "2026-02-13T12:00:00.000+01:00",
            "2026-02-30T12:00:00.000Z",
            "2026-02-13 12:00:00.000Z",
            "2026-02-13T12:00:00.0000Z",
            "2026-02-13T12:00:60.000Z",
            "+026-02-13T12:00:00.000Z",
            "0000-01-01T00:00:00.000Z",
        ] {
            assert!(text.parse::<Timestamp>().is_err(), "{text} was accepted");
        }
    }

    #[test]
    fn milliseconds_survive_the_round_trip_through_unix_time() {
        let moment: Timestamp = "2026-02-13T12:00:00.123Z".parse().expect("well formed");
        assert_eq!(
            Timestamp::from_unix_millis(moment.unix_millis()),
            Ok(moment)
        );
        let before_1970: Timestamp = "1969-12-31T23:59:59.250Z".parse().expect("well formed");
        assert_eq!(
            Timestamp::from_unix_millis(before_1970.unix_millis()),
            Ok(before_1970)
        );
    }

    #[test]
    fn days_and_times_of_any_offset_are_one_moment_in_utc() {
        for (text, moment) in [
            ("2026-04-01", "2026-04-01T00:00:00.000Z"),
            ("2026-04-01T00:00:00Z", "2026-04-01T00:00:00.000Z"),
            ("2026-04-01T02:30:00.1239+02:30", "2026-04-01T00:00:00.123Z"),
            ("1969-12-31T23:59:59.9999Z", "1969-12-31T23:59:59.999Z"),
        ] {
            let read = Timestamp::read(text).map(|read| read.to_string());
            assert_eq!(read.as_deref(), Ok(moment), "{text}");
        }
        for text in [
            "",
            "tomorrow",
            "2026-02-30",
            "2026-4-1",
            "+026-04-01",
            "2026-04-01T00:00:00",
            "2026-04-01T25:00:00Z",
            "0000-01-01",
            "٣026-04-01",
        ] {
            assert!(Timestamp::read(text).is_err(), "{text}");
        }
    }
}
