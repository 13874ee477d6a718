//! The settings of `audit-anchor`.

use outbox::{
    Table,
    env::{Env, SettingError},
};

/// The settings of this job only.
#[derive(Debug, Clone)]
pub struct Config {
    /// The table of the chains and their anchors.
    pub audit: Table,
    /// The id of the KMS key that seals the heads.
    pub key_id: String,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            audit: Table::domain(env.required("AUDIT_TABLE")?),
            key_id: env.required("KMS_KEY_ID")?.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_whole_environment_is_read_and_a_missing_setting_is_named() {
        let whole = [
            ("AUDIT_TABLE", "audit"),
            ("KMS_KEY_ID", "arn:aws:kms:us-east-1:000000000000:key/k"),
        ];
        assert!(Config::from_env(&Env::of(whole)).is_ok());
        for (key, _) in whole {
            let env = Env::of(whole.into_iter().chain([(key, "")]));
            let error = Config::from_env(&env).expect_err("refused").to_string();
            assert!(error.contains(key), "{error} does not name {key}");
        }
    }
}
