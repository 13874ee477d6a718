//! The port for time, ids and random numbers. Tests replace it to control all three.

use std::time::Duration;

use async_trait::async_trait;
use events::{EventId, Timestamp};
use rand::Rng;
use uuid::Uuid;

/// The source of time, ids and random numbers.
#[async_trait]
pub trait Clock: Send + Sync {
    /// The current time.
    fn now(&self) -> Timestamp;

    /// A new UUID of version 7: sortable by time and never returned twice.
    fn uuid(&self) -> Uuid;

    /// A random number that is at least 0 and less than `bound`; 0 if `bound` is 0.
    fn random_below(&self, bound: u64) -> u64;

    /// Waits for `span`.
    async fn sleep(&self, span: Duration);
}

impl dyn Clock + '_ {
    /// A new event id.
    ///
    /// # Errors
    /// [`events::IdError`] when the clock returned a UUID whose version is neither 4 nor 7.
    pub fn event_id(&self) -> Result<EventId, events::IdError> {
        EventId::new(self.uuid())
    }

    /// Waits for `span` ± `percent` %, chosen by `jittered`.
    pub async fn sleep_jittered(&self, span: Duration, percent: u64) {
        self.sleep(self.jittered(span, percent)).await;
    }

    /// A random duration of `span` ± `percent` %, so that calls that failed together do not retry together.
    #[must_use]
    pub fn jittered(&self, span: Duration, percent: u64) -> Duration {
        let millis = u64::try_from(span.as_millis()).unwrap_or(u64::MAX);
        let reach = millis.saturating_mul(percent) / 100;
        let offset = self.random_below(reach.saturating_mul(2).saturating_add(1));
        Duration::from_millis(millis.saturating_sub(reach).saturating_add(offset))
    }
}

/// The machine's own clock and random numbers.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

#[async_trait]
impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        let millis = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .ok()
            .and_then(|span| i64::try_from(span.as_millis()).ok())
            .unwrap_or(0);
        Timestamp::from_unix_millis(millis).unwrap_or(Timestamp::EPOCH)
    }

    fn uuid(&self) -> Uuid {
        Uuid::now_v7()
    }

    fn random_below(&self, bound: u64) -> u64 {
        if bound == 0 {
            0
        } else {
            rand::rng().random_range(0..bound)
        }
    }

    async fn sleep(&self, span: Duration) {
        tokio::time::sleep(span).await;
    }
}
