//! Settings from the environment: they are read once at start, and an error names the key.

use std::{collections::HashMap, str::FromStr, time::Duration};

/// A missing or wrong setting. It stops the function at start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not set, or empty.
    #[error("setting {0} is missing")]
    Missing(&'static str),
    /// Set to an invalid value. The message omits the value because it can be a secret.
    #[error("setting {key} is wrong: {expected}")]
    Wrong {
        /// The setting's name.
        key: &'static str,
        /// The form that a valid value has.
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

    /// A snapshot of given settings, for tests.
    pub fn of<K: Into<String>, V: Into<String>>(pairs: impl IntoIterator<Item = (K, V)>) -> Self {
        Self(
            pairs
                .into_iter()
                .map(|(key, value)| (key.into(), value.into()))
                .collect(),
        )
    }

    /// Every setting with its value.
    pub fn all(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(key, value)| (key.as_str(), value.as_str()))
    }

    /// The same settings with another value of one of them.
    #[must_use]
    pub fn with(mut self, key: impl Into<String>, value: impl Into<String>) -> Self {
        self.0.insert(key.into(), value.into());
        self
    }

    /// A setting; an empty one counts as absent.
    #[must_use]
    pub fn optional(&self, key: &'static str) -> Option<&str> {
        self.0
            .get(key)
            .map(String::as_str)
            .filter(|text| !text.is_empty())
    }

    /// A required setting.
    ///
    /// # Errors
    /// [`SettingError::Missing`] when it is absent or empty.
    pub fn required(&self, key: &'static str) -> Result<&str, SettingError> {
        self.optional(key).ok_or(SettingError::Missing(key))
    }

    /// A setting parsed as a type, or a default if it is absent.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and cannot be parsed.
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

    /// A setting in milliseconds, or a default if it is absent.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and is not a whole number of milliseconds.
    pub fn millis(&self, key: &'static str, otherwise: Duration) -> Result<Duration, SettingError> {
        let default = u64::try_from(otherwise.as_millis()).unwrap_or(u64::MAX);
        self.parsed(key, "a whole number of milliseconds", default)
            .map(Duration::from_millis)
    }

    /// A setting in seconds, or a default if it is absent.
    ///
    /// # Errors
    /// [`SettingError::Wrong`] when it is set and is not a whole number of seconds.
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
        // The number of settings only: values can be secrets.
        f.debug_tuple("Env").field(&self.0.len()).finish()
    }
}

/// The error for a setting with an invalid value.
pub fn wrong(key: &'static str, expected: impl Into<String>) -> SettingError {
    SettingError::Wrong {
        key,
        expected: expected.into(),
    }
}
