//! The settings, read once at start.

use std::time::Duration;

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};

use crate::{balances::CacheSettings, handler::WalletTables};

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The tables that the endpoints use.
    pub tables: WalletTables,
    /// The cache of balances.
    pub cache: CacheSettings,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = CacheSettings::default();
        let positive = |key: &'static str, what: &'static str, default: u64| {
            let number = env.parsed(key, what, default)?;
            if number == 0 {
                return Err(wrong(key, format!("{what}, at least 1")));
            }
            Ok(number)
        };
        let ttl_ms = u64::try_from(default.ttl.as_millis()).unwrap_or(u64::MAX);
        Ok(Self {
            tables: WalletTables {
                wallet: Table::domain(env.required("WALLET_TABLE")?),
                members: Table::domain(env.required("MEMBER_TABLE")?),
                activity: Table::domain(env.required("ACTIVITY_TABLE")?),
            },
            cache: CacheSettings {
                on: env.parsed("BALANCE_CACHE", "true or false", default.on)?,
                size: positive("BALANCE_CACHE_SIZE", "a number of accounts", default.size)?,
                ttl: Duration::from_millis(positive(
                    "BALANCE_CACHE_TTL_MS",
                    "milliseconds",
                    ttl_ms,
                )?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 3] = [
        ("WALLET_TABLE", "w"),
        ("MEMBER_TABLE", "p"),
        ("ACTIVITY_TABLE", "a"),
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
    fn each_table_is_the_one_of_its_setting() {
        let config = Config::from_env(&Env::of(ALL)).expect("whole");
        let WalletTables {
            wallet,
            members,
            activity,
        } = &config.tables;
        assert_eq!(
            [wallet.name(), members.name(), activity.name()],
            ["w", "p", "a"]
        );
    }

    #[test]
    fn the_cache_has_defaults_and_every_part_of_it_can_be_set() {
        let config = Config::from_env(&Env::of(ALL)).expect("whole");
        let default = CacheSettings {
            on: true,
            size: 10_000,
            ttl: Duration::from_secs(5),
        };
        assert_eq!(config.cache, default);
        let set = [
            ("BALANCE_CACHE", "false"),
            ("BALANCE_CACHE_SIZE", "7"),
            ("BALANCE_CACHE_TTL_MS", "250"),
        ];
        let config = Config::from_env(&Env::of(ALL.into_iter().chain(set))).expect("whole");
        let own = CacheSettings {
            on: false,
            size: 7,
            ttl: Duration::from_millis(250),
        };
        assert_eq!(config.cache, own);
    }

    #[test]
    fn a_setting_of_the_cache_that_is_none_is_named() {
        for (key, value) in [
            ("BALANCE_CACHE", "maybe"),
            ("BALANCE_CACHE_SIZE", "0"),
            ("BALANCE_CACHE_SIZE", "-1"),
            ("BALANCE_CACHE_TTL_MS", "0"),
            ("BALANCE_CACHE_TTL_MS", "5s"),
        ] {
            let env = Env::of(ALL.into_iter().chain([(key, value)]));
            let error = Config::from_env(&env).expect_err("refused");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
