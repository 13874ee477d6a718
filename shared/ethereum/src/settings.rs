//! The settings: which node and which token to read.

use std::{fmt, time::Duration};

use events::EthereumAddress;
use http::Uri;
use num_bigint::BigUint;
use outbox::env::{Env, SettingError, wrong};

use crate::ContractAddress;

/// The part of a page's time limit that stays reserved for its rows and its commit, after the chain has been read.
const ROWS: Duration = Duration::from_secs(1);

/// The node's URL. It can contain a secret (many providers put the key into the path), so it is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint(Uri);

impl Endpoint {
    /// Accepts an http or https URL with a host and without user and password.
    #[must_use]
    pub fn new(url: &str) -> Option<Self> {
        let uri: Uri = url.parse().ok()?;
        let known = matches!(uri.scheme_str(), Some("http" | "https"));
        let authority = uri.authority()?.as_str();
        (known && !authority.contains('@') && !uri.host()?.is_empty()).then_some(Self(uri))
    }

    pub(crate) fn uri(&self) -> &Uri {
        &self.0
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endpoint")
    }
}

/// The settings for reading a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The node's URL.
    pub endpoint: Endpoint,
    /// The token's contract.
    pub contract: ContractAddress,
    /// The time limit of one call.
    pub timeout: Duration,
    /// The chain that the node must be on; `None` allows any.
    pub chain_id: Option<BigUint>,
}

impl Settings {
    /// Reads the settings `CHAIN_RPC_URL`, `CHAIN_TOKEN_CONTRACT`, `CHAIN_RPC_TIMEOUT_MS` and `CHAIN_ID`. `None` if
    /// there is no URL, which means no chain.
    ///
    /// # Errors
    /// [`SettingError`] names the key and never shows the value.
    pub fn from_env(env: &Env) -> Result<Option<Self>, SettingError> {
        let Some(url) = env.optional("CHAIN_RPC_URL") else {
            return Ok(None);
        };
        let endpoint = Endpoint::new(url).ok_or_else(|| {
            wrong(
                "CHAIN_RPC_URL",
                "must be an http or https URL without user and password; put a key into its path or query",
            )
        })?;
        let contract = env
            .required("CHAIN_TOKEN_CONTRACT")?
            .parse::<EthereumAddress>()
            .map_err(|error| wrong("CHAIN_TOKEN_CONTRACT", error.to_string()))?;
        let timeout = env.millis("CHAIN_RPC_TIMEOUT_MS", Duration::from_secs(2))?;
        if timeout.is_zero() {
            return Err(wrong("CHAIN_RPC_TIMEOUT_MS", "must be at least 1"));
        }
        let chain_id = match env.optional("CHAIN_ID") {
            None => None,
            Some(text) => Some(
                BigUint::parse_bytes(text.as_bytes(), 10)
                    .ok_or_else(|| wrong("CHAIN_ID", "must be a chain's id in decimal digits"))?,
            ),
        };
        Ok(Some(Self {
            endpoint,
            contract: ContractAddress::new(contract),
            timeout,
            chain_id,
        }))
    }

    /// The part of a page's time limit in which balances can be read: half of it, or less if a call can take long. So
    /// the last balance read and the check whether the node answers at all still end within the page.
    ///
    /// # Errors
    /// [`SettingError`] when no time is left.
    pub fn reading_time(&self, page: Duration) -> Result<Duration, SettingError> {
        let calls = self.timeout.saturating_mul(2);
        let left = page.saturating_sub(calls).saturating_sub(ROWS);
        if left.is_zero() {
            return Err(wrong(
                "CHAIN_RPC_TIMEOUT_MS",
                format!(
                    "must be so short that two calls and {} s take less than a page's limit of {} ms",
                    ROWS.as_secs(),
                    page.as_millis()
                ),
            ));
        }
        Ok(left.min(page / 2))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const CONTRACT: &str = "0x00000000000000000000000000000000000000cc";

    #[test]
    fn without_a_url_there_is_no_chain_and_with_one_there_is_a_contract() {
        assert_eq!(Settings::from_env(&Env::default()), Ok(None));
        let read = |pairs: &[(&str, &str)]| Settings::from_env(&Env::of(pairs.iter().copied()));
        let url = ("CHAIN_RPC_URL", "https://node.example/v3/key");
        let contract = ("CHAIN_TOKEN_CONTRACT", CONTRACT);
        let settings = read(&[url, contract]).expect("reads").expect("a chain");
        assert_eq!(settings.timeout, Duration::from_secs(2));
        assert_eq!(settings.chain_id, None);
        assert_eq!(
            read(&[url]),
            Err(SettingError::Missing("CHAIN_TOKEN_CONTRACT"))
        );
        for wrong in [
            ("CHAIN_TOKEN_CONTRACT", "0x12"),
            ("CHAIN_RPC_TIMEOUT_MS", "0"),
            ("CHAIN_ID", "0x1"),
            ("CHAIN_RPC_URL", "https://user:password@node.example/"),
            ("CHAIN_RPC_URL", "ftp://node.example/"),
            ("CHAIN_RPC_URL", "node.example"),
        ] {
            let error = read(&[url, contract, wrong]).expect_err("wrong");
            let text = error.to_string();
            assert!(
                text.contains(wrong.0) && !text.contains("node.example"),
                "{text}"
            );
        }
    }

    #[test]
    fn reading_leaves_time_for_the_last_call_and_the_question_after_it() {
        let reading = |timeout: &str| {
            let env = Env::of([
                ("CHAIN_RPC_URL", "https://node.example/"),
                ("CHAIN_TOKEN_CONTRACT", CONTRACT),
                ("CHAIN_RPC_TIMEOUT_MS", timeout),
            ]);
            let settings = Settings::from_env(&env).expect("reads").expect("a chain");
            settings.reading_time(Duration::from_secs(10))
        };
        assert_eq!(reading("100"), Ok(Duration::from_secs(5)));
        assert_eq!(reading("2000"), Ok(Duration::from_secs(5)));
        assert_eq!(reading("4000"), Ok(Duration::from_secs(1)));
        let error = reading("4500").expect_err("too long").to_string();
        assert!(error.contains("CHAIN_RPC_TIMEOUT_MS"), "{error}");
    }

    #[test]
    fn the_url_is_never_shown() {
        let endpoint = Endpoint::new("https://node.example/v3/secret").expect("a URL");
        assert!(!format!("{endpoint:?}").contains("secret"));
    }
}
