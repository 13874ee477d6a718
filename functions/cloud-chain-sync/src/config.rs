//! The settings of `cloud-chain-sync`.

use outbox::{
    Table,
    env::{Env, SettingError},
};

use crate::handler::Chain;

/// Everything the consumer reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings and lanes.
    pub consumer: consumer::Config,
    /// The marks.
    pub marks: Table,
    /// The domain's table: members with their addresses, jobs.
    pub cloud: Table,
    /// Whether there is a chain to find balances on.
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
            consumer: consumer::Config::from_env(env)?,
            marks: Table::marks(env.required("MARKS_TABLE")?),
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            chain,
        })
    }
}
