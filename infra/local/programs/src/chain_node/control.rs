//! Controls a node that runs in another process.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::json;

use super::{Mirror, NodeFault};
use crate::BoxError;

/// The client of a node's control calls.
#[derive(Debug, Clone)]
pub struct NodeControl {
    http: reqwest::Client,
    url: String,
}

impl NodeControl {
    /// The client of the node at this control URL, which ends in [`super::CONTROL_PATH`].
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.into(),
        }
    }

    /// Sets a holder's balance, in the token's smallest units.
    ///
    /// # Errors
    /// What is wrong with the balance, or that there is no response.
    pub async fn set_balance(&self, address: &str, units: &str) -> Result<(), BoxError> {
        let body = json!({ "units": units });
        self.put(&format!("balances/{address}"), &body).await
    }

    /// Forgets a balance that was set.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn forget_balance(&self, address: &str) -> Result<(), BoxError> {
        self.delete(&format!("balances/{address}")).await
    }

    /// Sets the fault of one holder, or of all calls if `address` is `None`.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn fail(&self, address: Option<&str>, fault: &NodeFault) -> Result<(), BoxError> {
        let path = address.map_or_else(
            || "faults".to_owned(),
            |address| format!("faults/{address}"),
        );
        self.put(&path, fault).await
    }

    /// Removes the fault of one holder, or all faults if `address` is `None`.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn mend(&self, address: Option<&str>) -> Result<(), BoxError> {
        let path = address.map_or_else(
            || "faults".to_owned(),
            |address| format!("faults/{address}"),
        );
        self.delete(&path).await
    }

    /// Mirrors these books from now on.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn mirror(&self, mirror: &Mirror) -> Result<(), BoxError> {
        self.put("mirror", mirror).await
    }

    /// How often each method was called.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn calls(&self) -> Result<BTreeMap<String, u64>, BoxError> {
        let request = self.http.get(format!("{}/calls", self.url));
        Ok(request.send().await?.error_for_status()?.json().await?)
    }

    async fn put(&self, path: &str, body: &(impl Serialize + ?Sized)) -> Result<(), BoxError> {
        let request = self.http.put(format!("{}/{path}", self.url)).json(body);
        let answer = request.send().await?;
        if answer.status().is_success() {
            return Ok(());
        }
        Err(format!("{}: {}", answer.status(), answer.text().await?).into())
    }

    async fn delete(&self, path: &str) -> Result<(), BoxError> {
        let request = self.http.delete(format!("{}/{path}", self.url));
        request.send().await?.error_for_status()?;
        Ok(())
    }
}
