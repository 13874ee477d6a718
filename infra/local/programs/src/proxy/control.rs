//! The proxy's own calls, under a path no AWS service has, and the client for them.
//!
//! | call | what it does |
//! |---|---|
//! | `GET …/health` | 200 |
//! | `PUT …/rules`, `GET …/rules` | sets, shows [`Rules`]; setting them begins every operation's numbers again |
//! | `GET …/counts`, `POST …/reset` | shows [`Counts`], begins them again |
//! | `GET …/in-flight` | the calls that are under way, with the callers' ports |

use std::net::SocketAddr;

use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{counts::Counts, rules::Rules};
use crate::BoxError;

/// Where the proxy's own calls begin.
pub const CONTROL_PATH: &str = "/_fault-proxy";

/// A call that is under way.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlight {
    /// Which, such as `dynamodb.PutItem`.
    pub operation: String,
    /// The caller's access key.
    pub caller: String,
    /// The caller's end of the connection: leads to its process.
    pub peer: SocketAddr,
}

/// Steers a proxy that runs elsewhere.
#[derive(Debug, Clone)]
pub struct ProxyControl {
    http: reqwest::Client,
    url: String,
}

impl ProxyControl {
    /// By the control address, which ends in [`CONTROL_PATH`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.into(),
        }
    }

    /// What clients of AWS take as their endpoint to go through the proxy.
    #[must_use]
    pub fn endpoint(&self) -> &str {
        self.url.strip_suffix(CONTROL_PATH).unwrap_or(&self.url)
    }

    /// Sets the rules; every operation's calls are counted from 0 again for the dice.
    ///
    /// # Errors
    /// What is wrong with the rules, or no answer.
    pub async fn set_rules(&self, rules: &Rules) -> Result<(), BoxError> {
        let request = self.http.put(format!("{}/rules", self.url)).json(rules);
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{}: {}", answer.status(), answer.text().await?).into())
    }

    /// The rules that are set.
    ///
    /// # Errors
    /// No answer.
    pub async fn rules(&self) -> Result<Rules, BoxError> {
        self.get("rules").await
    }

    /// What went through so far.
    ///
    /// # Errors
    /// No answer.
    pub async fn counts(&self) -> Result<Counts, BoxError> {
        self.get("counts").await
    }

    /// Begins the counts again.
    ///
    /// # Errors
    /// No answer.
    pub async fn reset(&self) -> Result<(), BoxError> {
        let request = self.http.post(format!("{}/reset", self.url));
        request.send().await?.error_for_status()?;
        Ok(())
    }

    /// The calls that are under way.
    ///
    /// # Errors
    /// No answer.
    pub async fn in_flight(&self) -> Result<Vec<InFlight>, BoxError> {
        self.get("in-flight").await
    }

    async fn get<T: DeserializeOwned>(&self, what: &str) -> Result<T, BoxError> {
        let request = self.http.get(format!("{}/{what}", self.url));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }
}
