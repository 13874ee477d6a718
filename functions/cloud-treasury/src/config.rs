//! The treasury's settings.

use cloud::Rate;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// Everything the consumer reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings and lanes.
    pub consumer: consumer::Config,
    /// The event log.
    pub events: Table,
    /// The marks.
    pub marks: Table,
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
            consumer: consumer::Config::from_env(env)?,
            events: Table::events(env.required("EVENTS_TABLE")?),
            marks: Table::marks(env.required("MARKS_TABLE")?),
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            usd_rate,
        })
    }
}
