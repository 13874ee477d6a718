//! The settings, read once at start.

use outbox::{
    Table,
    env::{Env, SettingError},
};
use webhook::Rules;

use crate::job::Tables;

/// The settings of this function only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The tables.
    pub tables: Tables,
    /// What may be called.
    pub rules: Rules,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            tables: Tables {
                webhooks: env.required("WEBHOOKS_TABLE").map(Table::domain)?,
                feed: env.required("EVENT_FEED_TABLE").map(Table::domain)?,
                contacts: env.optional("NOTIFICATIONS_TABLE").map(Table::domain),
            },
            rules: endpoints::settings::rules(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    const ALL: [(&str, &str); 2] = [("WEBHOOKS_TABLE", "w"), ("EVENT_FEED_TABLE", "f")];

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        assert!(Config::from_env(&Env::of(ALL)).is_ok());
        for (missing, _) in ALL {
            let rest = ALL.into_iter().filter(|(key, _)| *key != missing);
            let error = Config::from_env(&Env::of(rest)).expect_err("refused");
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
