//! The settings of a consumer.

use std::time::Duration;

use outbox::env::{Env, SettingError, wrong};

/// How the runtime handles records. Every field can be set by the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The stack's name, for metrics.
    pub stack: String,
    /// The delays before the second, third, … attempt, at least one. A message is parked after one more failure than
    /// there are delays.
    pub retry_delays: Vec<Duration>,
    /// The age beyond which a message is parked if a dependency is still unavailable.
    pub unavailable_max_age: Duration,
    /// The time limit of one record.
    pub record_timeout: Duration,
    /// How many records are handled concurrently.
    pub concurrency: usize,
    /// Whether transactions that records of a batch decide at the same time are committed in one call
    /// ([`outbox::group`]). This saves calls and time; it changes nothing for a handler.
    pub group_commit: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stack: "local".into(),
            retry_delays: [10, 60, 300].map(Duration::from_secs).to_vec(),
            unavailable_max_age: Duration::from_secs(6 * 60 * 60),
            record_timeout: Duration::from_secs(5),
            concurrency: 10,
            group_commit: true,
        }
    }
}

impl Settings {
    /// The delay after this many failures, from 1. The last delay repeats.
    #[must_use]
    pub fn delay_after(&self, failures: u32) -> Duration {
        let at = usize::try_from(failures.saturating_sub(1)).unwrap_or(usize::MAX);
        let delays = &self.retry_delays;
        let delay = delays.get(at).or(delays.last());
        delay.copied().unwrap_or(UNBEGUN_DELAY)
    }

    /// Whether no retry follows this many failures.
    #[must_use]
    pub fn is_last(&self, failures: u32) -> bool {
        usize::try_from(failures).is_ok_and(|failures| failures > self.retry_delays.len())
    }
}

/// The response margin: the time that must be left, beyond a record's time limit, before the record is begun. It covers
/// the calls that a failed record still makes: one read of the mark or cursor, which gets [`LAST_READ`], and after it the
/// record of the failure and the dead letter, a few milliseconds each. What does not fit is cut off ([`ANSWER`]), and the
/// message comes back.
pub(crate) const MARGIN: Duration = Duration::from_secs(3);

/// How long the last read of a mark or cursor may take, when the record's own time can be used up.
pub(crate) const LAST_READ: Duration = Duration::from_secs(1);

/// The time that is left to answer the invocation, whatever calls are still under way: without an answer, all messages
/// of the batch would come back.
pub(crate) const ANSWER: Duration = Duration::from_millis(200);

/// How long a message that could not be begun stays hidden.
pub(crate) const UNBEGUN_DELAY: Duration = Duration::from_secs(1);

/// The jitter of a retry's delay, in percent to both sides.
pub(crate) const JITTER_PERCENT: u64 = 10;

/// One lane: a queue, and the queue for its dead letters. Queue names come from the stack; the code never builds or parses
/// them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lane {
    /// `express` or `standard`.
    pub name: &'static str,
    /// The queue's ARN, by which the runtime recognises its messages.
    pub queue_arn: String,
    /// The queue's URL.
    pub queue_url: String,
    /// The URL of the stack's dead-letter queue, the same for every lane.
    pub dead_letter_queue_url: String,
}

/// The lanes of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lanes(pub Vec<Lane>);

impl Lanes {
    /// The lane of a queue.
    #[must_use]
    pub fn by_arn(&self, queue_arn: &str) -> Option<&Lane> {
        self.0.iter().find(|lane| lane.queue_arn == queue_arn)
    }
}

/// Everything a consumer reads from its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// How records are handled.
    pub settings: Settings,
    /// The lanes that the consumer drains.
    pub lanes: Lanes,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Settings::default();
        let retry_delays = match env.optional("RETRY_DELAYS_SECONDS") {
            None => default.retry_delays,
            Some(text) => text
                .split(',')
                .map(|part| part.trim().parse().map(Duration::from_secs))
                .collect::<Result<Vec<_>, _>>()
                .map_err(|_| wrong("RETRY_DELAYS_SECONDS", "whole seconds, separated by commas"))?,
        };
        if retry_delays.is_empty()
            || retry_delays
                .iter()
                .any(|delay| *delay > crate::port::MAX_VISIBILITY)
        {
            return Err(wrong(
                "RETRY_DELAYS_SECONDS",
                "one or more delays of at most 43200 seconds",
            ));
        }
        let concurrency = env.parsed(
            "RECORD_CONCURRENCY",
            "a whole number from 1 to 100",
            default.concurrency,
        )?;
        if !(1..=100).contains(&concurrency) {
            return Err(wrong("RECORD_CONCURRENCY", "a whole number from 1 to 100"));
        }
        let settings = Settings {
            stack: env.required("STACK_NAME")?.to_owned(),
            retry_delays,
            unavailable_max_age: env
                .seconds("UNAVAILABLE_MAX_AGE_SECONDS", default.unavailable_max_age)?,
            record_timeout: env.millis("RECORD_TIMEOUT_MS", default.record_timeout)?,
            concurrency,
            group_commit: env.parsed("GROUP_COMMIT", "true or false", default.group_commit)?,
        };
        if settings.record_timeout.is_zero() {
            return Err(wrong("RECORD_TIMEOUT_MS", "at least 1"));
        }
        let mut lanes = Vec::new();
        for (name, arn, url) in [
            ("express", "EXPRESS_QUEUE_ARN", "EXPRESS_QUEUE_URL"),
            ("standard", "STANDARD_QUEUE_ARN", "STANDARD_QUEUE_URL"),
        ] {
            // A lane must have both settings or none: a partly configured lane would not be drained.
            let is_named = [arn, url].iter().any(|name| env.optional(name).is_some());
            if is_named {
                let queue_arn = env.required(arn)?;
                lanes.push(Lane {
                    name,
                    queue_arn: queue_arn.to_owned(),
                    queue_url: env.required(url)?.to_owned(),
                    dead_letter_queue_url: env.required("DEAD_LETTERS_URL")?.to_owned(),
                });
            }
        }
        if lanes.is_empty() {
            return Err(SettingError::Missing("EXPRESS_QUEUE_ARN"));
        }
        Ok(Self {
            settings,
            lanes: Lanes(lanes),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        ("STACK_NAME", "test"),
        ("STANDARD_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:q"),
        ("STANDARD_QUEUE_URL", "http://queue"),
        ("DEAD_LETTERS_URL", "http://letters"),
    ];

    fn with(key: &'static str, value: &'static str) -> Result<Config, SettingError> {
        Config::from_env(&Env::of(WHOLE.into_iter().chain([(key, value)])))
    }

    #[test]
    fn the_defaults_are_the_documented_schedule() {
        let config = with("RUST_LOG", "info").expect("whole");
        assert_eq!(
            config.settings,
            Settings {
                stack: "test".into(),
                ..Settings::default()
            }
        );
        assert_eq!(config.lanes.0.len(), 1);
    }

    #[test]
    fn both_lanes_have_the_same_dead_letter_queue_and_none_is_half_set() {
        let arn = ("EXPRESS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:e");
        let error = with(arn.0, arn.1).expect_err("refused").to_string();
        assert!(error.contains("EXPRESS_QUEUE_URL"), "{error}");
        let both = [arn, ("EXPRESS_QUEUE_URL", "http://express")];
        let env = Env::of(WHOLE.into_iter().chain(both));
        let lanes = Config::from_env(&env).expect("whole").lanes.0;
        assert_eq!(lanes.len(), 2);
        let is_shared = |lane: &Lane| lane.dead_letter_queue_url == "http://letters";
        assert!(lanes.iter().all(is_shared));
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        for (key, value) in [
            ("STACK_NAME", ""),
            ("STANDARD_QUEUE_URL", ""),
            ("DEAD_LETTERS_URL", ""),
            ("RETRY_DELAYS_SECONDS", "10,,60"),
            ("RETRY_DELAYS_SECONDS", "99999"),
            ("RECORD_TIMEOUT_MS", "0"),
            ("RECORD_TIMEOUT_MS", "five"),
            ("RECORD_CONCURRENCY", "0"),
            ("GROUP_COMMIT", "yes"),
            ("UNAVAILABLE_MAX_AGE_SECONDS", "-1"),
        ] {
            let error = with(key, value).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
