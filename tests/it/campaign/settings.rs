//! The length of a campaign, and its seed.

use std::{fmt, time::Duration};

use super::PER_COHORT;
use crate::e2e::Result;

/// The length and the load of a campaign.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// The seed of everything random.
    pub(super) seed: u64,
    /// Faults end after this many operations …
    pub(super) operations: u64,
    /// … or after this time …
    pub(super) rain: Duration,
    /// … once there were as many as this, which a slow machine may not reach in that time. It gets three times the time.
    pub(super) least_operations: u64,
    /// Number of concurrent clients.
    pub(super) clients: u64,
    /// How often each kind of fault must happen at least.
    pub(super) least_per_kind: u64,
    /// How often progress is printed.
    pub(super) tell_every: Duration,
}

impl Settings {
    /// How many cohorts of members there are.
    pub(super) fn cohorts(&self) -> usize {
        usize::try_from(self.operations.div_ceil(PER_COHORT)).unwrap_or(1)
    }

    /// The campaign in `make test`.
    pub(super) fn short() -> Result<Self> {
        Ok(Self {
            seed: seed()?,
            operations: 1_500,
            rain: Duration::from_secs(60),
            least_operations: 900,
            clients: 6,
            least_per_kind: 1,
            tell_every: Duration::from_secs(15),
        })
    }

    /// The campaign in `make soak`.
    pub(super) fn soak() -> Result<Self> {
        let operations = number("MILLRACE_OPERATIONS")?.unwrap_or(20_000);
        Ok(Self {
            seed: seed()?,
            operations,
            rain: Duration::from_secs(60 * number("MILLRACE_MINUTES")?.unwrap_or(60)),
            least_operations: 0,
            clients: 8,
            least_per_kind: if operations >= 20_000 { 50 } else { 1 },
            tell_every: Duration::from_secs(5),
        })
    }
}

impl fmt::Display for Settings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "SEED={}, up to {} operations or {} s by {} clients",
            self.seed,
            self.operations,
            self.rain.as_secs(),
            self.clients
        )
    }
}

/// The seed of a run: `MILLRACE_SEED`, or another one every time.
pub(crate) fn seed() -> Result<u64> {
    Ok(number("MILLRACE_SEED")?.unwrap_or_else(of_the_clock))
}

/// A setting from the command line. An empty one counts as not set.
#[expect(
    clippy::disallowed_methods,
    reason = "the campaign's own settings, read once when it starts"
)]
fn number(name: &str) -> Result<Option<u64>> {
    match std::env::var(name) {
        Ok(text) if !text.is_empty() => text
            .parse()
            .map(Some)
            .map_err(|_| format!("{name}={text} is not a whole number").into()),
        _ => Ok(None),
    }
}

/// A seed from the clock: another one every time, and short enough to type.
fn of_the_clock() -> u64 {
    let span = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    span.as_secs() % 1_000_000
}
