//! The port through which endpoints are called, and its adapter.

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use webhook::{Answer, Client, ClientSettings, Rules, Target};

/// Calls endpoints.
#[async_trait]
pub trait Post: Send + Sync {
    /// Posts a body to a URL. MUST call only what may be called, MUST follow no redirect, and MUST answer within the attempt's
    /// time limit.
    async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Answer;
}

/// Calls endpoints by HTTP.
pub struct HttpPost {
    client: Client,
    rules: Rules,
}

impl HttpPost {
    /// Calls what these settings allow.
    ///
    /// # Errors
    /// When the system's root certificates cannot be read.
    pub fn new(settings: ClientSettings) -> std::io::Result<Self> {
        Ok(Self {
            rules: settings.rules.clone(),
            client: Client::new(settings)?,
        })
    }
}

impl std::fmt::Debug for HttpPost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("HttpPost").finish_non_exhaustive()
    }
}

#[async_trait]
impl Post for HttpPost {
    async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Answer {
        // What was accepted when it was set up can have become forbidden since.
        match Target::parse(url, &self.rules) {
            Ok(target) => self.client.post(&target, headers, body).await,
            Err(_) => Answer::Refused,
        }
    }
}
