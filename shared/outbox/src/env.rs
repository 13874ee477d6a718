//! Settings from the environment: read once at start, and an error names the key.

use std::{collections::HashMap, str::FromStr, time::Duration};

/// A setting that is missing or wrong; stops a function at start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not set, or empty.
    #[error("setting {0} is missing")]
    Missing(&'static str),
    /// Set to something that is not what it must be. The value is not repeated: it may be a secret.
    #[error("setting {key} is wrong: {expected}")]
    Wrong {
        /// Which.
        key: &'static str,
        /// What it must be.
        expected: String,
    },
}

/// A snapshot of settings.
#[derive(Clone, Default)]
pub struct Env(HashMap<String, String>);

impl Env {
    /// The process's environment.
    #[must_use]
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place where the environment is read"
    )]
    pub fn process() -> Self {
        Self(std::env::vars().collect())
    }

    /// Given settings, for tests.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// A setting; empty counts as absent.
    #[must_use]
    pub fn optional(&self, key: &'static str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A setting that must be there.
    ///
    /// # Errors
    /// [`SettingError::Missing`].
    pub fn required(&self, key: &'static str) -> Result<&str, SettingError> {
        self.optional(key).ok_or(SettingError::Missing(key))
    }

    /// A setting read as a type, or a default.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and does not read.
    pub fn parsed<T: FromStr>(
        &self,
        key: &'static str,
        expected: &str,
        otherwise: T,
    ) -> Result<T, SettingError> {
        match self.optional(key) {
            None => Ok(otherwise),
            Some(text) => text.trim().parse().map_err(|_| wrong(key, expected)),
        }
    }

    /// Milliseconds, or a default.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and no whole number of milliseconds.
    pub fn millis(&self, key: &'static str, otherwise: Duration) -> Result<Duration, SettingError> {
        let default = u64::try_from(otherwise.as_millis()).unwrap_or(u64::MAX);
        self.parsed(key, "a whole number of milliseconds", default)
            .map(Duration::from_millis)
    }

    /// Seconds, or a default.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and no whole number of seconds.
    pub fn seconds(
        &self,
        key: &'static str,
        otherwise: Duration,
    ) -> Result<Duration, SettingError> {
        self.parsed(key, "a whole number of seconds", otherwise.as_secs())
            .map(Duration::from_secs)
    }
}

impl std::fmt::Debug for Env {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Never the values.
        f.debug_tuple("Env").field(&self.0.len()).finish()
    }
}

/// A wrong setting.
pub fn wrong(key: &'static str, expected: impl Into<String>) -> SettingError {
    SettingError::Wrong {
        key,
        expected: expected.into(),
    }
}
