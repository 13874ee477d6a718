//! The treasury's settings.

use cloud::Rate;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// The settings of this consumer only. [`host::Consumer`] reads those that every consumer has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain's table: totals, treasury accounts, alerts.
    pub cloud: Table,
    /// US dollars per credit.
    pub usd_rate: Rate,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let usd_rate = env
            .required("CLOUD_USD_RATE")?
            .parse::<Rate>()
            .map_err(|error| wrong("CLOUD_USD_RATE", error.to_string()))?;
        Ok(Self {
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            usd_rate,
        })
    }
}
