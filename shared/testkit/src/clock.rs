//! A clock under the test's control: time passes only when a task waits, and randomness comes from a seed.

use std::{
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use events::Timestamp;
use outbox::Clock;
use uuid::Uuid;

/// Virtual time, ids and randomness: the same seed gives the same run.
///
/// [`Clock::sleep`] advances the time by the whole span and lets other tasks run once. No real time passes.
#[derive(Debug)]
pub struct TestClock {
    now: Mutex<Timestamp>,
    chance: AtomicU64,
    uuids: AtomicU64,
    seed: u64,
}

impl TestClock {
    /// A clock that starts at 2026-01-01T00:00:00Z.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        const START_MILLIS: i64 = 1_767_225_600_000;
        Self {
            now: Mutex::new(Timestamp::from_unix_millis(START_MILLIS).unwrap_or(Timestamp::EPOCH)),
            chance: AtomicU64::new(seed),
            uuids: AtomicU64::new(0),
            seed,
        }
    }

    /// Advances the time.
    pub fn advance(&self, span: Duration) {
        let mut now = self.lock();
        *now = now.plus(span);
    }

    fn lock(&self) -> MutexGuard<'_, Timestamp> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Default for TestClock {
    fn default() -> Self {
        Self::new(0)
    }
}

#[async_trait]
impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        *self.lock()
    }

    fn uuid(&self) -> Uuid {
        let number = self.uuids.fetch_add(1, Ordering::Relaxed);
        let millis = u64::try_from(self.now().unix_millis()).unwrap_or(0);
        // The last seven bytes count up, so every id of this clock is different. The seed makes the ids of two clocks
        // different.
        let mut random = [0_u8; 10];
        random[..3].copy_from_slice(&mix(self.seed).to_be_bytes()[..3]);
        random[3..].copy_from_slice(&number.to_be_bytes()[1..]);
        uuid::Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
    }

    fn random_below(&self, bound: u64) -> u64 {
        // SplitMix64: a full-period step, then a mixing function (Steele, Lea, Flood: "Fast splittable pseudorandom
        // number generators", OOPSLA 2014). The bias of the remainder does not matter to tests.
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let state = self.chance.fetch_add(STEP, Ordering::Relaxed);
        mix(state.wrapping_add(STEP))
            .checked_rem(bound)
            .unwrap_or(0)
    }

    async fn sleep(&self, span: Duration) {
        self.advance(span);
        tokio::task::yield_now().await;
    }
}

fn mix(state: u64) -> u64 {
    let mut mixed = state;
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_ids_and_the_same_chance() {
        let draw = |seed| {
            let clock = TestClock::new(seed);
            (
                [clock.uuid(), clock.uuid()],
                [clock.random_below(1000), clock.random_below(1000)],
            )
        };
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn ids_are_of_version_7_and_never_given_twice() {
        let clock = TestClock::new(1);
        let ids: BTreeSet<Uuid> = (0..1000).map(|_| clock.uuid()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.get_version_num() == 7));
    }

    #[tokio::test]
    async fn waiting_moves_time_on_at_once() {
        let clock = TestClock::default();
        let before = clock.now();
        clock.sleep(Duration::from_secs(3600)).await;
        assert_eq!(clock.now().since(before), Duration::from_secs(3600));
    }
}
