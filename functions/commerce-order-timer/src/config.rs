//! The settings, read once at start.

use std::time::Duration;

use commerce::order::Patience;
use outbox::{
    Table,
    env::{Env, SettingError},
};

/// The settings of this job only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The domain's table.
    pub table: Table,
    /// How long orders may take.
    pub patience: Patience,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let minutes = |name: &'static str, otherwise: u64| {
            let minutes: u64 = env.parsed(name, "a whole number of minutes", otherwise)?;
            Ok(Duration::from_secs(minutes.saturating_mul(60)))
        };
        Ok(Self {
            table: Table::domain(env.required("COMMERCE_TABLE")?),
            patience: Patience {
                pending: minutes("ORDER_PENDING_MINUTES", 1_440)?,
                unpaid: minutes("ORDER_UNPAID_MINUTES", 60)?,
            },
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        let read = |settings: &[(&'static str, &'static str)]| {
            Config::from_env(&Env::of(settings.iter().copied()))
        };
        let table = ("COMMERCE_TABLE", "c");
        let config = read(&[table, ("ORDER_UNPAID_MINUTES", "30")]).expect("complete");
        assert_eq!(config.patience.unpaid, Duration::from_secs(1_800));
        assert_eq!(config.patience.pending, Duration::from_secs(86_400));
        let missing = read(&[]).expect_err("no table");
        assert!(missing.to_string().contains("COMMERCE_TABLE"), "{missing}");
        let wrong = read(&[table, ("ORDER_PENDING_MINUTES", "soon")]).expect_err("no number");
        assert!(
            wrong.to_string().contains("ORDER_PENDING_MINUTES"),
            "{wrong}"
        );
    }
}
