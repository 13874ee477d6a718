//! A job's settings.

use std::time::Duration;

use outbox::env::{Env, SettingError, wrong};

/// What must be left of lease and invocation beyond a page's time limit for the page to be begun: time to write down how
/// the run ended, and the most by which the clocks of two instances may differ.
pub const MARGIN: Duration = Duration::from_secs(2);

/// How a job is run; every one settable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Name of the deployment, for metrics.
    pub stage: String,
    /// How long a runner holds the lease from its last page on; nobody takes over sooner.
    pub lease: Duration,
    /// The time one page may take, its commit included.
    pub page_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stage: String::new(),
            lease: Duration::from_secs(30),
            page_timeout: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Reads the settings: `STAGE`, `LEASE_SECONDS`, `PAGE_TIMEOUT_MS`.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Self::default();
        let settings = Self {
            stage: env.required("STAGE")?.to_owned(),
            lease: env.seconds("LEASE_SECONDS", default.lease)?,
            page_timeout: env.millis("PAGE_TIMEOUT_MS", default.page_timeout)?,
        };
        if settings.page_timeout.is_zero() {
            return Err(wrong("PAGE_TIMEOUT_MS", "at least 1"));
        }
        // Equal would do for the first page of a run only, and every other one would cost a renewal.
        if settings.lease <= settings.page_needs() {
            return Err(wrong(
                "LEASE_SECONDS",
                format!(
                    "more than a page's limit and {} s, which is {} ms",
                    MARGIN.as_secs(),
                    settings.page_needs().as_millis()
                ),
            ));
        }
        Ok(settings)
    }

    /// What must be left for a page to be begun.
    pub(crate) fn page_needs(&self) -> Duration {
        self.page_timeout.saturating_add(MARGIN)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use super::*;

    #[test]
    fn a_lease_outlasts_a_page_and_the_margin() {
        let read = |lease: &str, page: &str| {
            Settings::from_env(&Env::of([
                ("STAGE", "dev"),
                ("LEASE_SECONDS", lease),
                ("PAGE_TIMEOUT_MS", page),
            ]))
        };
        let defaults = Settings {
            stage: "dev".to_owned(),
            ..Settings::default()
        };
        assert_eq!(read("", "").expect("defaults"), defaults);
        assert!(read("13", "10000").is_ok());
        let error = read("12", "10000").expect_err("too short").to_string();
        assert!(error.contains("LEASE_SECONDS"), "{error}");
        assert!(error.contains("12000 ms"), "{error}");
        assert!(read("30", "0").is_err());
        assert!(read("soon", "").is_err());
    }
}
