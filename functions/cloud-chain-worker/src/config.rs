//! The settings of `cloud-chain-worker`.

use std::{io, time::Duration};

use cloud::chain::{MAX_DECIMALS, TokenDecimals};
use consumer::schedule;
use ethereum::Reader;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// The settings of this job only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain's table: jobs and accounts.
    pub cloud: Table,
    /// The chain, or `None` if none is configured.
    pub chain: Option<ethereum::Settings>,
    /// The part of a page's time limit that is for reading balances from the chain.
    pub reading_time: Duration,
    /// The token's decimals.
    pub decimals: TokenDecimals,
    /// The time limit for the chain to confirm a movement.
    pub confirm_within: Duration,
}

impl Config {
    /// Reads the settings. The time limit of a page, a setting of every job, limits the time for reading the chain.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env, schedule: &schedule::Settings) -> Result<Self, SettingError> {
        let chain = ethereum::Settings::from_env(env)?;
        let reading_time = match &chain {
            Some(chain) => chain.reading_time(schedule.page_timeout)?,
            None => Duration::ZERO,
        };
        Ok(Self {
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            chain,
            reading_time,
            decimals: decimals(env)?,
            confirm_within: env
                .seconds("CHAIN_CONFIRM_WITHIN_SECONDS", Duration::from_secs(3_600))?,
        })
    }

    /// The chain reader, or `None` if no chain is configured.
    ///
    /// # Errors
    /// When the machine's root certificates cannot be read.
    pub fn reader(&self) -> io::Result<Option<Reader>> {
        let of = |chain| Reader::of_node(chain, self.decimals.number(), self.reading_time);
        self.chain.as_ref().map(of).transpose()
    }
}

fn decimals(env: &Env) -> Result<TokenDecimals, SettingError> {
    let expected = format!("a whole number from 0 to {MAX_DECIMALS}");
    let decimals = env.parsed("CHAIN_TOKEN_DECIMALS", &expected, 18)?;
    TokenDecimals::new(decimals).ok_or_else(|| wrong("CHAIN_TOKEN_DECIMALS", expected))
}
