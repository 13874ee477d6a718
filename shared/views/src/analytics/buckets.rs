//! The buckets of time of an answer.

use events::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub(super) const HOUR_MILLIS: i64 = 3_600_000;
pub(super) const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// The width of the buckets of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Bucket {
    /// An hour, beginning at the full hour, UTC.
    #[default]
    Hour,
    /// A day, beginning at midnight, UTC.
    Day,
}

impl Bucket {
    const fn millis(self) -> i64 {
        match self {
            Self::Hour => HOUR_MILLIS,
            Self::Day => DAY_MILLIS,
        }
    }

    /// The beginning of the bucket that contains `moment`.
    #[must_use]
    pub fn start(self, moment: Timestamp) -> Timestamp {
        self.moved(moment, -moment.unix_millis().rem_euclid(self.millis()))
    }

    /// The end of the bucket that contains `moment`; if `moment` is the beginning of a bucket, `moment` itself.
    #[must_use]
    pub fn end(self, moment: Timestamp) -> Timestamp {
        self.moved(moment, (-moment.unix_millis()).rem_euclid(self.millis()))
    }

    /// The time `buckets` buckets before `moment`.
    #[must_use]
    pub fn before(self, moment: Timestamp, buckets: u32) -> Timestamp {
        self.moved(moment, -self.millis().saturating_mul(buckets.into()))
    }

    /// How many buckets a span has. A partial last bucket counts.
    #[must_use]
    pub fn count(self, from: Timestamp, to: Timestamp) -> i64 {
        let millis = to.unix_millis() - from.unix_millis();
        millis.div_euclid(self.millis()) + i64::from(millis.rem_euclid(self.millis()) > 0)
    }

    // At the ends of the calendar, the moment stays unchanged.
    fn moved(self, moment: Timestamp, millis: i64) -> Timestamp {
        Timestamp::from_unix_millis(moment.unix_millis() + millis).unwrap_or(moment)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moment(text: &str) -> Timestamp {
        text.parse().expect("a moment")
    }

    #[test]
    fn buckets_begin_and_end_on_full_hours_and_at_midnight_also_before_1970() {
        let at = moment("1969-07-20T20:17:40.000Z");
        assert_eq!(
            Bucket::Hour.start(at).to_string(),
            "1969-07-20T20:00:00.000Z"
        );
        assert_eq!(Bucket::Hour.end(at).to_string(), "1969-07-20T21:00:00.000Z");
        assert_eq!(
            Bucket::Day.start(at).to_string(),
            "1969-07-20T00:00:00.000Z"
        );
        assert_eq!(Bucket::Day.end(at).to_string(), "1969-07-21T00:00:00.000Z");
        let full = Bucket::Day.start(at);
        assert_eq!(
            (Bucket::Day.start(full), Bucket::Day.end(full)),
            (full, full)
        );
        assert_eq!(
            Bucket::Day.before(full, 20).to_string(),
            "1969-06-30T00:00:00.000Z"
        );
        assert_eq!(Bucket::Day.count(full, at), 1);
        assert_eq!(Bucket::Hour.count(full, at), 21);
        let last = moment("9999-12-31T23:30:00.000Z");
        assert_eq!(Bucket::Day.end(last), last);
    }
}
