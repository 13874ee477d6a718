//! The settings of `event-stream`.

use std::{net::SocketAddr, time::Duration};

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use stream_token::Tokens;

use crate::{hub, leases::Limits, router::Times};

/// Where the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// On Lambda, which sets the address of its Runtime API.
    Lambda,
    /// As a server of its own, on this address.
    Http(SocketAddr),
}

/// The settings of this function.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the function runs.
    pub host: Host,
    /// The feed.
    pub feed: Table,
    /// The API keys.
    pub keys: Table,
    /// On Lambda the table of the leases, and how many streams may be open in the stack.
    pub leases: Option<(Table, Limits)>,
    /// Checks stream tokens.
    pub tokens: Tokens,
    /// The settings of the shared reader.
    pub hub: hub::Settings,
    /// The time limits of connections.
    pub times: Times,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let host = if env.optional("AWS_LAMBDA_RUNTIME_API").is_some() {
            Host::Lambda
        } else {
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            Host::Http(env.parsed("LISTEN", "an address with a port", any)?)
        };
        let count = |key, otherwise: usize| {
            let number = env.parsed(key, "a whole number from 1", otherwise)?;
            if number == 0 {
                return Err(wrong(key, "a whole number from 1"));
            }
            Ok(number)
        };
        let stack = env.required("STACK_NAME")?;
        let batch: u32 = env.parsed("STREAM_BATCH", "a whole number from 1 to 1000", 100)?;
        if !(1..=1_000).contains(&batch) {
            return Err(wrong("STREAM_BATCH", "a whole number from 1 to 1000"));
        }
        Ok(Self {
            host,
            feed: Table::domain(env.required("EVENT_FEED_TABLE")?),
            keys: Table::domain(env.required("KEYS_TABLE")?),
            leases: match host {
                Host::Lambda => Some(leases(env)?),
                Host::Http(_) => None,
            },
            // Only `dashboard` issues tokens; their lifetime is its setting.
            tokens: Tokens::from_env(env, Duration::ZERO)?,
            hub: hub::Settings {
                stack: stack.to_owned(),
                poll: at_least(env, "POLL_MS", Duration::from_millis(500))?,
                batch,
                buffer: count("STREAM_BUFFER", 1_000)?,
                most: count("STREAM_CLIENTS", 200)?,
                most_of_key: count("STREAM_CLIENTS_PER_KEY", 10)?,
            },
            times: Times {
                heartbeat: at_least(env, "HEARTBEAT_MS", Duration::from_secs(30))?,
                life: env.seconds("STREAM_LIFE_SECONDS", Duration::from_secs(900))?,
                margin: env.millis("DEADLINE_MARGIN_MS", Duration::from_secs(5))?,
            },
        })
    }
}

/// Reads the table of the leases, and how many streams may be open.
fn leases(env: &Env) -> Result<(Table, Limits), SettingError> {
    let places = |key| -> Result<u32, SettingError> {
        let expected = "a whole number from 1 to 1000";
        let places = env.required(key)?.parse().ok();
        let places = places.filter(|places| (1..=1_000).contains(places));
        places.ok_or_else(|| wrong(key, expected))
    };
    let limits = Limits {
        of_stack: places("LEASED_STREAMS")?,
        of_key: places("LEASED_STREAMS_PER_KEY")?,
    };
    let table = Table::domain(env.required("STREAM_LEASES_TABLE")?);
    Ok((table, limits))
}

/// Reads a duration of at least 10 ms.
fn at_least(env: &Env, key: &'static str, otherwise: Duration) -> Result<Duration, SettingError> {
    let span = env.millis(key, otherwise)?;
    if span < Duration::from_millis(10) {
        return Err(wrong(key, "milliseconds, at least 10"));
    }
    Ok(span)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const WHOLE: [(&str, &str); 7] = [
        ("STACK_NAME", "mill"),
        ("EVENT_FEED_TABLE", "feed"),
        ("KEYS_TABLE", "keys"),
        ("STREAM_TOKEN_SECRET", "0123456789abcdef0123456789abcdef"),
        ("STREAM_LEASES_TABLE", "leases"),
        ("LEASED_STREAMS", "5"),
        ("LEASED_STREAMS_PER_KEY", "3"),
    ];

    const ON_LAMBDA: (&str, &str) = ("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001");

    fn with(key: &'static str, value: &'static str) -> Result<Config, SettingError> {
        Config::from_env(&Env::of(WHOLE.into_iter().chain([ON_LAMBDA, (key, value)])))
    }

    #[test]
    fn a_missing_setting_is_named() {
        assert!(Config::from_env(&Env::of(WHOLE)).is_ok());
        for (key, _) in WHOLE {
            let error = with(key, "").expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_and_no_secret_is_told() {
        for (key, value) in [
            ("STREAM_TOKEN_SECRET", "too short"),
            ("LEASED_STREAMS", "0"),
            ("LEASED_STREAMS_PER_KEY", "1001"),
            ("STREAM_BATCH", "0"),
            ("STREAM_CLIENTS", "0"),
            ("POLL_MS", "0"),
        ] {
            let error = with(key, value).expect_err("refused").to_string();
            assert!(
                error.contains(key) && !error.contains("too short"),
                "{error}"
            );
        }
        let listening = WHOLE.into_iter().chain([("LISTEN", "here")]);
        assert!(Config::from_env(&Env::of(listening)).is_err());
        let config = Config::from_env(&Env::of(WHOLE)).expect("whole");
        assert!(!format!("{config:?}").contains("0123456789"));
    }

    #[test]
    fn the_runtime_api_decides_where_it_runs_and_whether_streams_are_leased() {
        let lambda = Config::from_env(&Env::of(WHOLE.into_iter().chain([ON_LAMBDA])));
        let lambda = lambda.expect("whole");
        assert_eq!(lambda.host, Host::Lambda);
        let (_, limits) = lambda.leases.expect("leases");
        assert_eq!((limits.of_stack, limits.of_key), (5, 3));
        let listening = WHOLE.into_iter().chain([("LISTEN", "127.0.0.1:8080")]);
        let http = Config::from_env(&Env::of(listening)).expect("whole");
        assert_eq!(
            http.host,
            Host::Http(SocketAddr::from(([127, 0, 0, 1], 8080)))
        );
        assert!(http.leases.is_none());
    }
}
