//! The settings, read once at start.

use outbox::{
    Table,
    env::{Env, SettingError},
};

/// Everything the function reads from its environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The event log.
    pub events: Table,
    /// The marks.
    pub marks: Table,
    /// The API keys.
    pub keys: Table,
    /// Members.
    pub members: Table,
    /// In-app notes, read only.
    pub notifications: Table,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            events: Table::events(env.required("EVENTS_TABLE")?),
            marks: Table::marks(env.required("MARKS_TABLE")?),
            keys: Table::domain(env.required("KEYS_TABLE")?),
            members: Table::domain(env.required("MEMBER_TABLE")?),
            notifications: Table::domain(env.required("NOTIFICATIONS_TABLE")?),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_setting_is_named() {
        let all = [
            ("EVENTS_TABLE", "e"),
            ("MARKS_TABLE", "m"),
            ("KEYS_TABLE", "k"),
            ("MEMBER_TABLE", "p"),
            ("NOTIFICATIONS_TABLE", "n"),
        ];
        assert!(Config::from_env(&Env::of(all)).is_ok());
        for (missing, _) in all {
            let rest = all.into_iter().filter(|(key, _)| *key != missing);
            let error = Config::from_env(&Env::of(rest)).expect_err("refused");
            assert!(error.to_string().contains(missing), "{error}");
        }
    }
}
