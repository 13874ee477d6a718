//! The settings of `dashboard`.

use std::time::Duration;

use http::Uri;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use stream_token::Tokens;
use topology::{Deployment, physical_name};

use crate::lanes::Lane;

/// Where clients reach the event stream: the URL before `/api/v1/events/stream`, without a slash at its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StreamAddress {
    origin: String,
    base: String,
}

impl StreamAddress {
    /// Reads an http or https URL; `None` if the text is none.
    #[must_use]
    pub fn read(text: &str) -> Option<Self> {
        let uri: Uri = text.parse().ok()?;
        let is_web = matches!(uri.scheme_str(), Some("http" | "https"));
        let origin = format!("{}://{}", uri.scheme_str()?, uri.authority()?);
        let is_plain = uri.query().is_none() && !text.contains('@');
        (is_web && is_plain).then(|| Self {
            origin,
            base: text.trim_end_matches('/').to_owned(),
        })
    }

    /// Its origin, as a content security policy names it.
    #[must_use]
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// The URL of the stream.
    #[must_use]
    pub fn url(&self) -> String {
        format!("{}/api/v1/events/stream", self.base)
    }
}

/// The settings of this function.
#[derive(Debug, Clone)]
pub struct Config {
    /// The API keys.
    pub keys: Table,
    /// The dead letters.
    pub letters: Table,
    /// Issues stream tokens.
    pub tokens: Tokens,
    /// Where the stream is; `None` if it is at this function's own address, or nowhere.
    pub stream: Option<StreamAddress>,
    /// The lanes that the status shows.
    pub lanes: Vec<Lane>,
    /// How long an answer of CloudWatch is reused.
    pub ages_good_for: Duration,
    /// How long the number of dead letters is reused.
    pub letters_good_for: Duration,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let life = env.seconds("STREAM_TOKEN_LIFE_SECONDS", Duration::from_secs(600))?;
        let address = |text: &str| {
            StreamAddress::read(text)
                .ok_or_else(|| wrong("STREAM_URL", "an http or https URL without a query"))
        };
        Ok(Self {
            keys: Table::domain(env.required("KEYS_TABLE")?),
            letters: Table::domain(env.required("LETTERS_TABLE")?),
            tokens: Tokens::from_env(env, life)?,
            stream: env.optional("STREAM_URL").map(address).transpose()?,
            // SQS measures once a minute.
            ages_good_for: env.seconds("AGES_SECONDS", Duration::from_secs(60))?,
            // The page asks every few seconds; a count of many dead letters costs more than it is worth so often.
            letters_good_for: env.seconds("LETTERS_SECONDS", Duration::from_secs(10))?,
            lanes: lanes(env)?,
        })
    }
}

/// Returns every lane of the deployed domains, by the name of its queue.
fn lanes(env: &Env) -> Result<Vec<Lane>, SettingError> {
    let stack = env.required("STACK_NAME")?;
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

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const WHOLE: [(&str, &str); 4] = [
        ("KEYS_TABLE", "keys"),
        ("LETTERS_TABLE", "letters"),
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
            ("STREAM_URL", "stream.example"),
            ("STREAM_URL", "ftp://stream.example"),
            ("STREAM_URL", "https://ada@stream.example"),
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
    fn the_stream_has_an_address_of_its_own_or_that_of_the_front() {
        assert_eq!(with("STREAM_URL", "").expect("whole").stream, None);
        // As CloudFormation returns a Function URL.
        let own = with("STREAM_URL", "https://id.lambda-url.eu-west-1.on.aws/").expect("whole");
        let own = own.stream.expect("an address");
        assert_eq!(own.origin(), "https://id.lambda-url.eu-west-1.on.aws");
        assert_eq!(
            own.url(),
            "https://id.lambda-url.eu-west-1.on.aws/api/v1/events/stream"
        );
        let behind = with("STREAM_URL", "http://localhost:4567/millrace").expect("whole");
        let behind = behind.stream.expect("an address");
        assert_eq!(behind.origin(), "http://localhost:4567");
        assert_eq!(
            behind.url(),
            "http://localhost:4567/millrace/api/v1/events/stream"
        );
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
}
