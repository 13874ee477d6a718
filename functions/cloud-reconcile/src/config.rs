//! The settings of `cloud-reconcile`.

use std::{io, time::Duration};

use cloud::{
    Rate,
    chain::{MAX_DECIMALS, TokenDecimals},
};
use consumer::schedule;
use ethereum::Reader;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

use crate::job::Limits;

/// The settings of this job only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain's table: members with their addresses, accounts.
    pub cloud: Table,
    /// The chain, or `None` if none is configured.
    pub chain: Option<ethereum::Settings>,
    /// The part of a page's time limit that is for reading balances from the chain.
    pub reading_time: Duration,
    /// The token's decimals.
    pub decimals: TokenDecimals,
    /// US dollars per credit.
    pub usd_rate: Rate,
    /// For this long after a movement, a difference is not a divergence: the chain needs time to follow the books.
    pub in_flight: Duration,
    /// Once books and chain have not agreed for this long, recent movements no longer excuse a difference.
    pub unsynced_max: Duration,
}

impl Config {
    /// Reads the settings. The time limit of a page, a setting of every job, limits the time for reading the chain.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env, schedule: &schedule::Settings) -> Result<Self, SettingError> {
        let usd_rate = env
            .required("CLOUD_USD_RATE")?
            .parse::<Rate>()
            .map_err(|error| wrong("CLOUD_USD_RATE", error.to_string()))?;
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
            usd_rate,
            in_flight: env.seconds("CHAIN_IN_FLIGHT_SECONDS", Duration::from_secs(3_600))?,
            unsynced_max: env.seconds("CHAIN_UNSYNCED_MAX_SECONDS", Duration::from_secs(86_400))?,
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

    /// Returns the limits of the comparison.
    #[must_use]
    pub fn limits(&self) -> Limits {
        Limits {
            decimals: self.decimals,
            rate: self.usd_rate,
            in_flight: self.in_flight,
            unsynced_max: self.unsynced_max,
        }
    }
}

fn decimals(env: &Env) -> Result<TokenDecimals, SettingError> {
    let expected = format!("a whole number from 0 to {MAX_DECIMALS}");
    let decimals = env.parsed("CHAIN_TOKEN_DECIMALS", &expected, 18)?;
    TokenDecimals::new(decimals).ok_or_else(|| wrong("CHAIN_TOKEN_DECIMALS", expected))
}
