//! The settings of `event-stream`.

use std::{net::SocketAddr, time::Duration};

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

use evidence::EvidenceTables;
use topology::{Deployment, physical_name};

use crate::{
    hub,
    lanes::Lane,
    router::Times,
    token::{MIN_SECRET_BYTES, Tokens},
};

/// Where the function runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Host {
    /// On Lambda, which sets the address of its Runtime API.
    Lambda,
    /// As a server of its own, on this address.
    Http(SocketAddr),
}

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone)]
pub struct Config {
    /// Where the function runs.
    pub host: Host,
    /// The feed.
    pub feed: Table,
    /// The tables that hold consumers' evidence.
    pub tables: EvidenceTables,
    /// Makes and checks stream tokens.
    pub tokens: Tokens,
    /// The settings of the shared reader.
    pub hub: hub::Settings,
    /// The time limits of connections.
    pub times: Times,
    /// The lanes that the status shows.
    pub lanes: Vec<Lane>,
    /// How long an answer of CloudWatch is reused.
    pub ages_good_for: Duration,
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
        let life = env.seconds("STREAM_TOKEN_LIFE_SECONDS", Duration::from_secs(600))?;
        let tokens = Tokens::new(env.required("STREAM_TOKEN_SECRET")?, life).map_err(|_| {
            wrong(
                "STREAM_TOKEN_SECRET",
                format!("at least {MIN_SECRET_BYTES} bytes"),
            )
        })?;
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
            tables: EvidenceTables::from_env(env)?,
            tokens,
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
            // SQS measures once a minute.
            ages_good_for: env.seconds("AGES_SECONDS", Duration::from_secs(60))?,
            lanes: lanes(env, stack)?,
        })
    }
}

/// Returns every lane of the deployed domains, by the name of its queue.
fn lanes(env: &Env, stack: &str) -> Result<Vec<Lane>, SettingError> {
    let domains = env.optional("DOMAINS").unwrap_or_default();
    let deployment =
        Deployment::of_setting(domains).map_err(|problems| wrong("DOMAINS", problems))?;
    Ok(deployment
        .lanes()
        .into_iter()
        .map(|(function, lane)| {
            let queue = physical_name(stack, &lane.queue());
            Lane(function.name.to_owned(), lane.name.to_owned(), queue)
        })
        .collect())
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

    const WHOLE: [(&str, &str); 4] = [
        ("MARKS_TABLE", "marks"),
        ("EVENT_FEED_TABLE", "feed"),
        ("STREAM_TOKEN_SECRET", "0123456789abcdef0123456789abcdef"),
        ("STACK_NAME", "mill"),
    ];

    fn with(key: &'static str, value: &'static str) -> Result<Config, SettingError> {
        Config::from_env(&Env::of(WHOLE.into_iter().chain([(key, value)])))
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
            ("DOMAINS", "no-such-domain"),
            ("STREAM_BATCH", "0"),
            ("STREAM_CLIENTS", "0"),
            ("POLL_MS", "0"),
            ("LISTEN", "here"),
        ] {
            let error = with(key, value).expect_err("refused").to_string();
            assert!(
                error.contains(key) && !error.contains("too short"),
                "{error}"
            );
        }
        let config = Config::from_env(&Env::of(WHOLE)).expect("whole");
        assert!(!format!("{config:?}").contains("0123456789"));
    }

    #[test]
    fn the_lanes_are_those_of_the_deployed_domains() {
        let queues = |domains| -> Vec<String> {
            let config = with("DOMAINS", domains).expect("whole");
            config
                .lanes
                .into_iter()
                .map(|Lane(_, _, queue)| queue)
                .collect()
        };
        let spine = queues("");
        assert!(
            spine.contains(&"mill_event-feed-standard".to_owned()),
            "{spine:?}"
        );
        assert!(
            !spine.iter().any(|queue| queue.contains("wallet")),
            "{spine:?}"
        );
        let wallet = queues("wallet");
        assert!(
            wallet.contains(&"mill_wallet-balances-express".to_owned()),
            "{wallet:?}"
        );
        assert!(
            !wallet.iter().any(|queue| queue.contains("treasury")),
            "{wallet:?}"
        );
    }

    #[test]
    fn the_runtime_api_decides_where_it_runs() {
        let lambda = with("AWS_LAMBDA_RUNTIME_API", "127.0.0.1:9001").expect("whole");
        assert_eq!(lambda.host, Host::Lambda);
        let http = with("LISTEN", "127.0.0.1:8080").expect("whole");
        assert_eq!(
            http.host,
            Host::Http(SocketAddr::from(([127, 0, 0, 1], 8080)))
        );
    }
}
