//! The settings of `wallet-balances`.

use outbox::{
    Table,
    env::{Env, SettingError},
};

/// Everything the consumer reads from its environment.
#[derive(Debug, Clone)]
pub struct Config {
    /// The runtime's settings and lanes.
    pub consumer: consumer::Config,
    /// The domain's table: the balances to read stand in it.
    pub wallet: Table,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            consumer: consumer::Config::from_env(env)?,
            wallet: Table::domain(env.required("WALLET_TABLE")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: [(&str, &str); 5] = [
        ("STAGE", "dev"),
        ("WALLET_TABLE", "wallet"),
        ("EXPRESS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:e"),
        ("EXPRESS_QUEUE_URL", "http://e"),
        ("EXPRESS_DLQ_URL", "http://e-letters"),
    ];

    #[test]
    fn a_whole_environment_is_read_and_a_missing_setting_is_named() {
        let config = Config::from_env(&Env::of(WHOLE)).expect("whole");
        assert_eq!(config.consumer.lanes.0.len(), 1);
        assert_eq!(config.wallet.name(), "wallet");
        for (key, _) in WHOLE.into_iter().filter(|(key, _)| !key.ends_with("_ARN")) {
            let env = Env::of(WHOLE.into_iter().chain([(key, "")]));
            let error = Config::from_env(&env).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
