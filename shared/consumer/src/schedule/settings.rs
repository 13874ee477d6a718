//! The settings of a scheduled job.

use std::time::Duration;

use outbox::env::{Env, SettingError, wrong};

/// The time that must be left of the lease and of the invocation, beyond a page's time limit, before the page is begun.
/// It covers recording how the run ended, and the largest difference between the clocks of two instances.
pub const MARGIN: Duration = Duration::from_secs(2);

/// How the runtime runs a job. Every field can be set by the environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The stack's name, for metrics.
    pub stack: String,
    /// How long a run holds the lease after its last page. No other run takes over sooner.
    pub lease: Duration,
    /// The time limit of one page, including its commit.
    pub page_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            stack: String::new(),
            lease: Duration::from_secs(30),
            page_timeout: Duration::from_secs(10),
        }
    }
}

impl Settings {
    /// Reads the settings: `STACK_NAME`, `LEASE_SECONDS`, `PAGE_TIMEOUT_MS`.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let default = Self::default();
        let settings = Self {
            stack: env.required("STACK_NAME")?.to_owned(),
            lease: env.seconds("LEASE_SECONDS", default.lease)?,
            page_timeout: env.millis("PAGE_TIMEOUT_MS", default.page_timeout)?,
        };
        if settings.page_timeout.is_zero() {
            return Err(wrong("PAGE_TIMEOUT_MS", "at least 1"));
        }
        // An equal value would do only for the first page of a run; every later page would cost a renewal of the lease.
        if settings.lease <= settings.page_needs() {
            return Err(wrong(
                "LEASE_SECONDS",
                format!(
                    "more than the page's time limit plus {} s, which is {} ms",
                    MARGIN.as_secs(),
                    settings.page_needs().as_millis()
                ),
            ));
        }
        Ok(settings)
    }

    /// The time that must be left before a page is begun.
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
                ("STACK_NAME", "dev"),
                ("LEASE_SECONDS", lease),
                ("PAGE_TIMEOUT_MS", page),
            ]))
        };
        let defaults = Settings {
            stack: "dev".to_owned(),
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
