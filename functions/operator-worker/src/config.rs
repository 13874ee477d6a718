//! The settings, read once at start.

use evidence::EvidenceTables;
use outbox::{
    Table,
    env::{Env, SettingError, wrong},
};
use topology::Deployment;

/// The settings of this function only. [`host::Job`] reads those that every job has.
#[derive(Debug, Clone)]
pub struct Config {
    /// The stack's name, with which the names of its queues begin.
    pub stack: String,
    /// The bus's name.
    pub bus_name: String,
    /// Dead letters.
    pub letters: Table,
    /// Where the consumers' evidence is, read only.
    pub evidence: EvidenceTables,
    /// The deployment, whose consumers have the lanes.
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
            bus_name: env.required("BUS_NAME")?.to_owned(),
            letters: Table::domain(env.required("LETTERS_TABLE")?),
            evidence: EvidenceTables::from_env(env)?,
            deployment: Deployment::of_setting(env.optional("DOMAINS").unwrap_or_default())
                .map_err(|problems| wrong("DOMAINS", problems))?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: [(&str, &str); 4] = [
        ("STACK_NAME", "mill"),
        ("BUS_NAME", "b"),
        ("LETTERS_TABLE", "l"),
        ("MARKS_TABLE", "m"),
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
