//! The settings of `cloud-chain-sync`.

use outbox::{
    Table,
    env::{Env, SettingError},
};

use crate::handler::Chain;

/// The settings of this consumer only. [`host::Consumer`] reads those that every consumer has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain's table: members with their addresses, jobs.
    pub cloud: Table,
    /// Whether a chain is configured.
    pub chain: Chain,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let chain = if env.parsed("CHAIN_ENABLED", "true or false", true)? {
            Chain::There
        } else {
            Chain::NotThere
        };
        Ok(Self {
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            chain,
        })
    }
}
