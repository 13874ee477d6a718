//! The settings, read once at start.

use evidence::EvidenceTables;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use topology::Deployment;

/// The settings of this function only. [`host::Api`] reads those that every API has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The stack's name, with which the names of its functions begin.
    pub stack: String,
    /// Dead letters, and the wishes about consumers.
    pub letters: Table,
    /// The name of the event log's table, whose size a preview shows.
    pub events: String,
    /// The counts over time, read only.
    pub analytics: Table,
    /// Where the consumers' evidence is, read only.
    pub evidence: EvidenceTables,
    /// The deployment, whose consumers can be paused and get replays.
    pub deployment: Deployment,
}

impl Config {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        Ok(Self {
            stack: env.required("STACK_NAME")?.to_owned(),
            letters: Table::domain(env.required("LETTERS_TABLE")?),
            events: env.required("EVENTS_TABLE")?.to_owned(),
            analytics: Table::domain(env.required("ANALYTICS_TABLE")?),
            evidence: EvidenceTables::from_env(env)?,
            deployment: Deployment::of_setting(env.optional("DOMAINS").unwrap_or_default())
                .map_err(|problems| wrong("DOMAINS", problems))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 5] = [
        ("STACK_NAME", "mill"),
        ("LETTERS_TABLE", "l"),
        ("MARKS_TABLE", "m"),
        ("EVENTS_TABLE", "e"),
        ("ANALYTICS_TABLE", "a"),
    ];

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        assert!(Config::from_env(&Env::of(ALL)).is_ok());
        for (missing, _) in ALL {
            let rest = ALL.into_iter().filter(|(key, _)| *key != missing);
            let error = Config::from_env(&Env::of(rest)).expect_err("refused");
            assert!(error.to_string().contains(missing), "{error}");
        }
        let wrong = ALL.into_iter().chain([("DOMAINS", "no-such-domain")]);
        let error = Config::from_env(&Env::of(wrong)).expect_err("refused");
        assert!(error.to_string().contains("DOMAINS"), "{error}");
    }
}
