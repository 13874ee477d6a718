//! The settings, read once at start.

use evidence::EvidenceTables;
use outbox::{
    Table,
    env::{Env, SettingError},
};

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Dead letters.
    pub letters: Table,
    /// Where the consumers' evidence is, read only.
    pub evidence: EvidenceTables,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            letters: Table::domain(env.required("LETTERS_TABLE")?),
            evidence: EvidenceTables::from_env(env)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 2] = [("LETTERS_TABLE", "l"), ("MARKS_TABLE", "m")];

    #[test]
    fn a_missing_setting_is_named() {
        assert!(Config::from_env(&Env::of(ALL)).is_ok());
        for (missing, _) in ALL {
            let rest = ALL.into_iter().filter(|(key, _)| *key != missing);
            let error = Config::from_env(&Env::of(rest)).expect_err("refused");
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
