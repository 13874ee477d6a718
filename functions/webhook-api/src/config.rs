//! The settings, read once at start.

use outbox::{
    Table,
    env::{Env, SettingError},
};
use webhook::Rules;

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone)]
pub struct Config {
    /// Endpoints, lanes, retries and the log of attempts.
    pub webhooks: Table,
    /// The feed, read only.
    pub feed: Table,
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
            webhooks: env.required("WEBHOOKS_TABLE").map(Table::domain)?,
            feed: env.required("EVENT_FEED_TABLE").map(Table::domain)?,
            rules: endpoints::settings::rules(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
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
        for key in ["WEBHOOK_PORTS", "WEBHOOK_NETWORKS"] {
            let wrong = ALL.into_iter().chain([(key, "https")]);
            let error = Config::from_env(&Env::of(wrong)).expect_err("refused");
            assert!(error.to_string().contains(key), "{error}");
        }
    }
}
