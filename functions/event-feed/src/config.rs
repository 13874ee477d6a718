//! The settings of `event-feed`.

use outbox::{
    Table,
    env::{Env, SettingError},
};

/// Everything the consumer reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings and lanes.
    pub consumer: consumer::Config,
    /// The event log: what is behind the cursor is read from it.
    pub events: Table,
    /// The cursors.
    pub marks: Table,
    /// The feed.
    pub feed: Table,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            consumer: consumer::Config::from_env(env)?,
            events: Table::events(env.required("EVENTS_TABLE")?),
            marks: Table::marks(env.required("MARKS_TABLE")?),
            feed: Table::domain(env.required("EVENT_FEED_TABLE")?),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const WHOLE: [(&str, &str); 10] = [
        ("STAGE", "dev"),
        ("EVENTS_TABLE", "events"),
        ("MARKS_TABLE", "marks"),
        ("EVENT_FEED_TABLE", "feed"),
        ("EXPRESS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:e"),
        ("EXPRESS_QUEUE_URL", "http://e"),
        ("EXPRESS_DLQ_URL", "http://e-letters"),
        ("STANDARD_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:s"),
        ("STANDARD_QUEUE_URL", "http://s"),
        ("STANDARD_DLQ_URL", "http://s-letters"),
    ];

    #[test]
    fn a_whole_environment_is_read_and_a_missing_setting_is_named() {
        let config = Config::from_env(&Env::of(WHOLE)).expect("whole");
        assert_eq!(config.consumer.lanes.0.len(), 2);
        // A lane is there or not by its ARN; with it comes the rest.
        let required = WHOLE.into_iter().filter(|(key, _)| !key.ends_with("_ARN"));
        for (key, _) in required {
            let env = Env::of(WHOLE.into_iter().chain([(key, "")]));
            let error = Config::from_env(&env).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
