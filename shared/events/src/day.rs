//! A calendar day, for example the day on which a bill is due.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use time::{Date, Month, util::days_in_month};

use crate::{Timestamp, timestamp::DAY};

/// The text is not a calendar day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a day of the form YYYY-MM-DD")]
pub struct DayError;

/// A day of the years 1 to 9999. On the wire it is `YYYY-MM-DD`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Day(Date);

impl Day {
    /// The UTC day of a moment.
    #[must_use]
    pub fn of(moment: Timestamp) -> Self {
        Self(moment.date())
    }

    /// The same day a number of months later, or the month's last day if that month has no such day: 31 January, 28 or
    /// 29 February, 31 March. Stops at the end of the year 9999.
    #[must_use]
    pub fn plus_months(self, months: u32) -> Self {
        let (year, month, day) = self.0.to_calendar_date();
        let since = i64::from(year) * 12 + i64::from(u8::from(month)) - 1 + i64::from(months);
        let last = Self(Date::from_calendar_date(9999, Month::December, 31).unwrap_or(self.0));
        let (Ok(year), Ok(month)) = (i32::try_from(since / 12), u8::try_from(since % 12 + 1))
        else {
            return last;
        };
        let Ok(month) = Month::try_from(month) else {
            return last;
        };
        let day = day.min(days_in_month(month, year));
        match Date::from_calendar_date(year, month, day) {
            Ok(date) if year <= 9999 => Self(date),
            _ => last,
        }
    }

    /// The number of whole months from `earlier` to this day, counted as [`Self::plus_months`] does. 0 if `earlier` is
    /// not earlier.
    #[must_use]
    pub fn months_since(self, earlier: Self) -> u32 {
        let months = |day: Self| i64::from(day.0.year()) * 12 + i64::from(u8::from(day.0.month()));
        let Ok(between) = u32::try_from(months(self) - months(earlier)) else {
            return 0;
        };
        if earlier.plus_months(between) <= self {
            between
        } else {
            between.saturating_sub(1)
        }
    }

    /// The number of days from `earlier` to this day. 0 if `earlier` is not earlier.
    #[must_use]
    pub fn days_since(self, earlier: Self) -> u32 {
        u32::try_from((self.0 - earlier.0).whole_days()).unwrap_or(0)
    }
}

impl FromStr for Day {
    type Err = DayError;
    fn from_str(text: &str) -> Result<Self, DayError> {
        // The parser also accepts a sign before the year.
        if text.len() != 10 || !text.starts_with(|first: char| first.is_ascii_digit()) {
            return Err(DayError);
        }
        let day = Date::parse(text, &DAY).map_err(|_| DayError)?;
        if day.year() < 1 {
            return Err(DayError);
        }
        Ok(Self(day))
    }
}

impl fmt::Display for Day {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Day {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Day {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        text.parse().map_err(de::Error::custom)
    }
}

impl JsonSchema for Day {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Day".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // The registry checks `format` with this same parser, as it does for timestamps.
        json_schema!({
            "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
            "x-expected": "a day of the form YYYY-MM-DD"
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> Day {
        text.parse().expect("a day")
    }

    #[test]
    fn a_day_prints_as_it_was_written_and_what_is_none_is_refused() {
        for text in ["2026-02-28", "2028-02-29", "0001-01-01", "9999-12-31"] {
            assert_eq!(day(text).to_string(), text);
        }
        for text in [
            "",
            "2026-02-29",
            "2026-13-01",
            "2026-00-01",
            "0000-01-01",
            "2026-1-01",
            "+026-01-01",
            "2026-01-01Z",
            "2026/01/01",
            "٣026-01-0",
        ] {
            assert_eq!(text.parse::<Day>(), Err(DayError), "{text}");
        }
    }

    #[test]
    fn months_end_where_they_end_and_the_day_comes_back_after_a_short_one() {
        let from = |text: &str| {
            (1..=4)
                .map(|months| day(text).plus_months(months).to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(
            from("2027-12-31"),
            ["2028-01-31", "2028-02-29", "2028-03-31", "2028-04-30"]
        );
        assert_eq!(
            from("2026-11-30"),
            ["2026-12-30", "2027-01-30", "2027-02-28", "2027-03-30"]
        );
        assert_eq!(day("2024-02-29").plus_months(12), day("2025-02-28"));
        assert_eq!(day("2024-02-29").plus_months(48), day("2028-02-29"));
        assert_eq!(day("9999-12-01").plus_months(1), day("9999-12-31"));
    }

    #[test]
    fn whole_months_are_counted_as_they_are_added() {
        let start = day("2026-01-31");
        for months in 0..120 {
            let due = start.plus_months(months);
            assert_eq!(due.months_since(start), months, "{due}");
        }
        assert_eq!(day("2026-02-27").months_since(start), 0);
        assert_eq!(day("2026-02-28").months_since(start), 1);
        assert_eq!(day("2025-12-31").months_since(start), 0);
        assert_eq!(day("2027-07-31").days_since(start), 546);
        assert_eq!(start.days_since(day("2027-07-31")), 0);
    }
}
