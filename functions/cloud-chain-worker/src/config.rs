//! The settings of `cloud-chain-worker`.

use std::time::Duration;

use cloud::chain::{MAX_DECIMALS, TokenDecimals};
use consumer::schedule;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// Everything the job reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings.
    pub schedule: schedule::Settings,
    /// The marks.
    pub marks: Table,
    /// The domain's table: jobs, accounts.
    pub cloud: Table,
    /// The chain; `None` where none is configured.
    pub chain: Option<ethereum::Settings>,
    /// The part of a page's time in which balances are asked for.
    pub reading_time: Duration,
    /// The token's decimals.
    pub decimals: TokenDecimals,
    /// How long the chain may take to bear a movement out.
    pub confirm_within: Duration,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let (schedule, chain) = (
            schedule::Settings::from_env(env)?,
            ethereum::Settings::from_env(env)?,
        );
        let reading_time = match &chain {
            Some(chain) => chain.reading_time(schedule.page_timeout)?,
            None => Duration::ZERO,
        };
        Ok(Self {
            schedule,
            marks: Table::marks(env.required("MARKS_TABLE")?),
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            chain,
            reading_time,
            decimals: decimals(env)?,
            confirm_within: env
                .seconds("CHAIN_CONFIRM_WITHIN_SECONDS", Duration::from_secs(3_600))?,
        })
    }
}

fn decimals(env: &Env) -> Result<TokenDecimals, SettingError> {
    let expected = format!("a whole number from 0 to {MAX_DECIMALS}");
    let decimals = env.parsed("CHAIN_TOKEN_DECIMALS", &expected, 18)?;
    TokenDecimals::new(decimals).ok_or_else(|| wrong("CHAIN_TOKEN_DECIMALS", expected))
}
