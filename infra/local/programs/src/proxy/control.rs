//! The proxy's control calls, under a path that no AWS service has, and the client for them.
//!
//! | call | what it does |
//! |---|---|
//! | `GET …/health` | 200 |
//! | `PUT …/rules`, `GET …/rules` | sets or shows [`Rules`]; setting them restarts the numbering of every operation's calls |
//! | `GET …/counts`, `POST …/reset` | shows or resets [`Counts`] |
//! | `GET …/in-flight` | the calls in progress, with the callers' ports |

use std::net::SocketAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{counts::Counts, rules::Rules};
use crate::BoxError;

/// The prefix of the control calls.
pub const CONTROL_PATH: &str = "/_fault-proxy";

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// The operation, such as `dynamodb.PutItem`.
    pub operation: String,
    /// The caller's access key.
    pub caller: String,
    /// The caller's end of the connection, which leads to the caller's process.
    pub peer: SocketAddr,
}

/// Controls a proxy that runs in another process.
#[derive(Debug, Clone)]
pub struct ProxyControl {
    http: reqwest::Client,
    url: String,
}

impl ProxyControl {
    /// The client of the proxy at this control URL, which ends in [`CONTROL_PATH`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.into(),
        }
    }

    /// The endpoint that AWS clients use to go through the proxy.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.url.strip_suffix(CONTROL_PATH).unwrap_or(&self.url)
    }

    /// Sets the rules. The numbering of every operation's calls restarts at 0.
    ///
    /// # Errors
    /// What is wrong with the rules, or that there is no response.
    pub async fn set_rules(&self, rules: &Rules) -> Result<(), BoxError> {
        let request = self.http.put(format!("{}/rules", self.url)).json(rules);
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{}: {}", answer.status(), answer.text().await?).into())
    }

    /// The current rules.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn rules(&self) -> Result<Rules, BoxError> {
        self.get("rules").await
    }

    /// The counts so far.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn counts(&self) -> Result<Counts, BoxError> {
        self.get("counts").await
    }

    /// Resets the counts.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn reset(&self) -> Result<(), BoxError> {
        let request = self.http.post(format!("{}/reset", self.url));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// The calls in progress.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn in_flight(&self) -> Result<Vec<InFlight>, BoxError> {
        self.get("in-flight").await
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T, BoxError> {
        let request = self.http.get(format!("{}/{what}", self.url));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}
