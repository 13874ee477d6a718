//! The settings, read once at start.

use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use settlement::selection::{Weights, WeightsError};

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Payments and settlements.
    pub settlement: Table,
    /// How much cost, speed and reliability count when a network is selected.
    pub weights: Weights,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            settlement: Table::domain(env.required("SETTLEMENT_TABLE")?),
            weights: match env.optional("NETWORK_WEIGHTS") {
                None => Weights::default(),
                Some(text) => text
                    .parse()
                    .map_err(|error: WeightsError| wrong("NETWORK_WEIGHTS", error.to_string()))?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 1] = [("SETTLEMENT_TABLE", "s")];

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
    fn weights_that_are_none_are_named_and_without_any_there_is_a_default() {
        let config = Config::from_env(&Env::of(ALL)).expect("whole");
        assert_eq!(config.weights, Weights::default());
        let with = |weights| {
            let settings = ALL.into_iter().chain([("NETWORK_WEIGHTS", weights)]);
            Config::from_env(&Env::of(settings))
        };
        assert!(with("cost:100,speed:0,reliability:0").is_ok());
        let error = with("cost:100").expect_err("refused");
        assert!(error.to_string().contains("NETWORK_WEIGHTS"), "{error}");
    }
}
