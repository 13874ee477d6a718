//! The treasury's settings.

use events::Usd;
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
    pub usd_rate: Usd,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        const RATE: &str = "dollars per credit above zero, at most two decimals";
        let usd_rate: Usd = env.required("CLOUD_USD_RATE")?.parse().map_err(|_| wrong("CLOUD_USD_RATE", RATE))?;
        if usd_rate.is_zero() {
            return Err(wrong("CLOUD_USD_RATE", RATE));
        }
        Ok(Self {
            consumer: consumer::Config::from_env(env)?,
            events: Table::events(env.required("EVENTS_TABLE")?),
            marks: Table::marks(env.required("MARKS_TABLE")?),
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            usd_rate,
        })
    }
}
