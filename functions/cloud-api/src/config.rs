//! The settings, read once at start.

use cloud::{Rate, stake::RevenueShares};
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Accounts, statements, treasury accounts, totals.
    pub cloud: Table,
    /// Members, read only.
    pub members: Table,
    /// US dollars per credit.
    pub rate: Rate,
    /// Lock durations and the shares of the revenue they earn.
    pub shares: RevenueShares,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let rate = env.required("CLOUD_USD_RATE")?.parse();
        Ok(Self {
            cloud: Table::domain(env.required("CLOUD_TABLE")?),
            members: Table::domain(env.required("MEMBER_TABLE")?),
            rate: rate
                .map_err(|error: cloud::RateError| wrong("CLOUD_USD_RATE", error.to_string()))?,
            shares: match env.optional("REVENUE_SHARES") {
                None => RevenueShares::default(),
                Some(text) => text
                    .parse()
                    .map_err(|error: cloud::stake::RevenueSharesError| {
                        wrong("REVENUE_SHARES", error.to_string())
                    })?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 3] = [
        ("CLOUD_TABLE", "c"),
        ("MEMBER_TABLE", "p"),
        ("CLOUD_USD_RATE", "10"),
    ];

    #[test]
    fn a_missing_setting_is_named() {
        assert!(Config::from_env(&Env::of(ALL)).is_ok());
        for (missing, _) in ALL {
            let rest = ALL.into_iter().filter(|(key, _)| *key != missing);
            let error = Config::from_env(&Env::of(rest)).expect_err("refused");
            assert!(error.to_string().contains(missing), "{error}");
        }
    }

    #[test]
    fn a_table_of_shares_that_is_none_is_named_and_without_one_there_is_a_default() {
        let config = Config::from_env(&Env::of(ALL)).expect("whole");
        assert_eq!(config.shares, RevenueShares::default());
        let settings = ALL.into_iter().chain([("REVENUE_SHARES", "30:500")]);
        let error = Config::from_env(&Env::of(settings)).expect_err("refused");
        assert!(error.to_string().contains("REVENUE_SHARES"), "{error}");
    }

    #[test]
    fn a_rate_that_is_none_is_named_and_not_repeated() {
        for rate in ["0", "-1", "ten", "1e1", "0.001", "10000.01"] {
            let settings =
                ALL.map(|(key, value)| (key, if key == "CLOUD_USD_RATE" { rate } else { value }));
            let error = Config::from_env(&Env::of(settings)).expect_err("refused");
            assert!(error.to_string().contains("CLOUD_USD_RATE"), "{error}");
        }
    }
}
