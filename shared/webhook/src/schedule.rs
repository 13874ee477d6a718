//! When a webhook is tried again, and what an answer means.
//!
//! The schedule is that of Svix (<https://docs.svix.com/retries>, read 2026-11-29). The example in the Standard
//! Webhooks specification has the same first seven attempts and then waits 14, 20 and 24 hours.

use std::time::Duration;

use crate::{Answer, client::MAX_RETRY_AFTER};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// The wait before each attempt, counted from the end of the one before. The last attempt comes about 27.6 hours after
/// the first.
pub const DELAYS: [Duration; 8] = [
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(5 * MINUTE),
    Duration::from_secs(30 * MINUTE),
    Duration::from_secs(2 * HOUR),
    Duration::from_secs(5 * HOUR),
    Duration::from_secs(10 * HOUR),
    Duration::from_secs(10 * HOUR),
];

/// The wait from which on it is varied at random, so that webhooks which failed together do not come back together.
const VARIED_FROM: Duration = Duration::from_secs(5 * MINUTE);

/// The largest change of a varied wait, in percent.
const VARIED_BY_PERCENT: u64 = 20;

/// After failures for this long without a success between them, an endpoint is disabled, as at Svix.
pub const DISABLED_AFTER: Duration = Duration::from_secs(5 * DAY);

/// After failures for this long without a success between them, the endpoint's owner is warned.
pub const WARNED_AFTER: [Duration; 2] = [Duration::from_secs(DAY), Duration::from_secs(3 * DAY)];

/// The wait before the next attempt; `None` if all attempts were made.
///
/// Waits of five minutes and more vary by up to 20 percent in both directions. `random` returns a number from 0 to
/// below its argument, each with the same probability. A `Retry-After` that is longer than the wait replaces it, up to
/// 24 hours; a shorter one changes nothing.
pub fn next_delay(
    attempts_made: u32,
    retry_after: Option<Duration>,
    random: impl FnOnce(u64) -> u64,
) -> Option<Duration> {
    let delay = *DELAYS.get(usize::try_from(attempts_made).ok()?)?;
    let delay = if delay < VARIED_FROM {
        delay
    } else {
        vary(delay, random)
    };
    let asked = retry_after.unwrap_or_default().min(MAX_RETRY_AFTER);
    Some(delay.max(asked))
}

fn vary(delay: Duration, random: impl FnOnce(u64) -> u64) -> Duration {
    let change = delay.as_secs() * 1_000 * VARIED_BY_PERCENT / 100;
    let bound = 2 * change + 1;
    let added = random(bound).min(bound - 1);
    delay - Duration::from_millis(change) + Duration::from_millis(added)
}

/// What an answer means for the delivery and the endpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// A status 2xx: the webhook is delivered.
    Delivered,
    /// Status 410: the endpoint wants no more webhooks and must be disabled.
    Gone,
    /// Everything else, redirects included: try again by [`next_delay`].
    Failed,
}

/// Judges an answer by the Standard Webhooks specification
/// (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, read
/// 2026-11-29).
#[must_use]
pub fn verdict(answer: &Answer) -> Verdict {
    match answer {
        Answer::Answered {
            status: 200..=299, ..
        } => Verdict::Delivered,
        Answer::Answered { status: 410, .. } => Verdict::Gone,
        Answer::Answered { .. } | Answer::Refused | Answer::TimedOut | Answer::Failed(_) => {
            Verdict::Failed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Option<Duration> = None;

    fn middle(bound: u64) -> u64 {
        bound / 2
    }

    #[test]
    fn eight_attempts_follow_the_published_schedule() {
        let secs: Vec<_> = (0..9)
            .map(|made| next_delay(made, NONE, middle).map(|delay| delay.as_secs()))
            .collect();
        let expected = [0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000].map(Some);
        assert_eq!(secs[..8], expected);
        assert_eq!(secs[8], None);
        assert_eq!(next_delay(u32::MAX, NONE, middle), None);
    }

    #[test]
    fn long_waits_vary_by_a_fifth_and_short_ones_do_not() {
        for (made, delay) in (0..).zip(DELAYS) {
            let least = next_delay(made, NONE, |_| 0).expect("a wait");
            let most = next_delay(made, NONE, |bound| bound - 1).expect("a wait");
            let beyond = next_delay(made, NONE, |_| u64::MAX).expect("a wait");
            if delay < Duration::from_secs(300) {
                assert_eq!((least, most), (delay, delay));
            } else {
                assert_eq!((least, most), (delay * 4 / 5, delay * 6 / 5));
            }
            assert_eq!(beyond, most);
        }
    }

    #[test]
    fn a_longer_retry_after_wins_up_to_a_day() {
        let after = |secs| next_delay(1, Some(Duration::from_secs(secs)), middle);
        assert_eq!(after(3), Some(Duration::from_secs(5)));
        assert_eq!(after(120), Some(Duration::from_secs(120)));
        assert_eq!(after(1_000_000), Some(Duration::from_secs(86_400)));
        let exhausted = next_delay(8, Some(Duration::from_secs(5)), middle);
        assert_eq!(exhausted, None);
    }

    #[test]
    fn only_2xx_delivers_and_only_410_ends() {
        let of = |status| {
            verdict(&Answer::Answered {
                status,
                retry_after: None,
                excerpt: String::new(),
            })
        };
        for status in [200, 201, 204, 299] {
            assert_eq!(of(status), Verdict::Delivered, "{status}");
        }
        for status in [199, 301, 302, 304, 307, 308, 400, 404, 409, 429, 500, 503] {
            assert_eq!(of(status), Verdict::Failed, "{status}");
        }
        assert_eq!(of(410), Verdict::Gone);
        for answer in [
            Answer::Refused,
            Answer::TimedOut,
            Answer::Failed("the connection was refused".to_owned()),
        ] {
            assert_eq!(verdict(&answer), Verdict::Failed);
        }
    }

    #[test]
    fn warnings_come_before_the_endpoint_is_disabled() {
        assert!(WARNED_AFTER.is_sorted() && WARNED_AFTER[1] < DISABLED_AFTER);
        let all: Duration = DELAYS.iter().sum();
        assert!(all < DISABLED_AFTER);
    }
}
