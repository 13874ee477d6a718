//! What a consumer writes down about an event that it could not handle: one row per consumer and event, in the marks
//! table.
//!
//! The consumer counts its own failures here, because the queue's receive count does not: it also counts deliveries in
//! which no code ran, and those that waited for a dependency. The event's journey reads the row, because a message in a
//! queue can be received but not looked up.

use std::time::Duration;

use events::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Guarded, GuardedPut, Key, MARK_LIFE, MarkError, Outbox, Table, encode_item,
    mark::bounded_key, store::ttl,
};

const KIND: &str = "failures";

/// How much of an error chain the row keeps, in bytes. With its [`KEPT_ERRORS`] the whole row costs about four write
/// units. The dead letter has the rest of the chain.
const ERROR_BYTES: usize = 1_024;

/// How many errors the row keeps: the newest.
pub const KEPT_ERRORS: usize = 3;

/// A failed attempt.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FailedAttempt {
    /// When it failed.
    pub at: Timestamp,
    /// The error chain; a long one is cut.
    pub error: String,
}

/// The record of an event that a consumer parked. The consumer's mark, cursor or projection takes precedence over it:
/// an event that was handled after a redrive has both.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The reason that the dead letter gives: `invalid`, `retries_exhausted`, …
    pub reason: String,
    /// When the message was first received.
    pub first_received_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
}

/// The failed attempts of a consumer to handle an event, since the event arrived or was last sent back.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failures {
    /// How many attempts failed.
    pub count: u32,
    /// The newest attempts, oldest first; at most [`KEPT_ERRORS`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub newest: Vec<FailedAttempt>,
    /// Before this moment another failure does not count: another message tried the event ahead of its schedule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due_at: Option<Timestamp>,
    /// Set when the event is parked. A later failure is the first of a new row.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parked: Option<Parked>,
}

impl Failures {
    /// Counts a failed attempt to handle a message that was sent at `sent_at`. The first one after the event was parked
    /// and sent back begins anew. A message from before the parking is the one whose parking did not succeed.
    pub fn add(&mut self, error: &str, sent_at: Timestamp, now: Timestamp) {
        let is_sent_back = |parked: &Parked| sent_at > parked.parked_at;
        if self.parked.as_ref().is_some_and(is_sent_back) {
            *self = Self::default();
        }
        self.count = self.count.saturating_add(1);
        self.newest.push(FailedAttempt {
            at: now,
            error: cut(error),
        });
        let too_many = self.newest.len().saturating_sub(KEPT_ERRORS);
        self.newest.drain(..too_many);
    }

    /// How long an attempt at this moment is ahead of the schedule; `None` if it is on it.
    #[must_use]
    pub fn ahead_of_schedule(&self, now: Timestamp) -> Option<Duration> {
        let early = self.due_at?.since(now);
        (!early.is_zero()).then_some(early)
    }
}

fn cut(error: &str) -> String {
    error[..error.floor_char_boundary(ERROR_BYTES)].to_owned()
}

#[derive(Serialize)]
struct FailuresRow<'a> {
    kind: &'static str,
    expires_at: i64,
    #[serde(flatten)]
    failures: &'a Failures,
}

/// The key, in the marks table, of a consumer's failures to handle an event.
///
/// # Errors
/// [`MarkError::KeyTooLong`] when the key exceeds DynamoDB's limit.
pub fn failures_key(marks: &Table, consumer: &str, event_id: &str) -> Result<Key, MarkError> {
    bounded_key(marks, format!("{KIND}#{consumer}#{event_id}"))
}

impl Outbox {
    /// Reads a consumer's failures to handle an event, consistently.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn failures(
        &self,
        consumer: &str,
        event_id: &str,
    ) -> Result<Option<Failures>, Error> {
        let key = failures_key(self.marks_table()?, consumer, event_id)?;
        let failures: Option<Failures> = self.row(&key).await?;
        Ok(failures.filter(|failures| failures.count > 0))
    }

    /// Writes a consumer's failures to handle an event. The later of two writes stays. The row lives as long as a mark.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn put_failures(
        &self,
        consumer: &str,
        event_id: &str,
        failures: &Failures,
    ) -> Result<(), Error> {
        let expires_at = self.clock().now().plus(MARK_LIFE);
        self.put(consumer, event_id, failures, expires_at).await
    }

    /// Forgets a consumer's failures to handle an event: it is handled. The row is emptied and expires at once, so that
    /// no consumer needs the permission to delete from the marks table.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn forget_failures(&self, consumer: &str, event_id: &str) -> Result<(), Error> {
        let now = self.clock().now();
        self.put(consumer, event_id, &Failures::default(), now)
            .await
    }

    async fn put(
        &self,
        consumer: &str,
        event_id: &str,
        failures: &Failures,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let key = failures_key(self.marks_table()?, consumer, event_id)?;
        let row = FailuresRow {
            kind: KIND,
            expires_at: ttl(expires_at),
            failures,
        };
        let version = u64::try_from(self.clock().now().unix_millis()).unwrap_or_default();
        let item = encode_item(&key, &row)?;
        let (Guarded::Applied | Guarded::Ignored) =
            self.put_guarded(&GuardedPut { key, item, version }).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use events::Registry;

    use super::*;
    use crate::{Clock as _, SystemClock, memory::MemoryStore};

    fn moment(second: i64) -> Timestamp {
        Timestamp::from_unix_millis(second * 1_000).unwrap()
    }

    #[test]
    fn the_newest_errors_stay_each_with_its_beginning() {
        let mut failures = Failures::default();
        for second in 1..=5 {
            failures.add(&"ä".repeat(ERROR_BYTES), moment(0), moment(second));
        }
        assert_eq!(failures.count, 5);
        let at: Vec<Timestamp> = failures.newest.iter().map(|one| one.at).collect();
        assert_eq!(at, [moment(3), moment(4), moment(5)]);
        assert!(
            failures
                .newest
                .iter()
                .all(|one| one.error.len() == ERROR_BYTES)
        );
    }

    #[test]
    fn only_a_message_that_was_sent_after_the_parking_begins_anew() {
        let mut failures = Failures {
            count: 4,
            parked: Some(Parked {
                reason: "rejected".into(),
                first_received_at: moment(1),
                parked_at: moment(5),
            }),
            ..Failures::default()
        };
        failures.add("the letter could not be sent", moment(1), moment(6));
        assert_eq!(failures.count, 5);
        failures.add("sent back", moment(7), moment(8));
        assert_eq!((failures.count, failures.parked), (1, None));
    }

    #[test]
    fn an_attempt_before_the_moment_that_is_due_is_ahead_of_the_schedule() {
        let failures = Failures {
            due_at: Some(moment(10)),
            ..Failures::default()
        };
        let ahead = |second| failures.ahead_of_schedule(moment(second));
        assert_eq!(ahead(7), Some(Duration::from_secs(3)));
        assert_eq!((ahead(10), ahead(11)), (None, None));
        assert_eq!(Failures::default().ahead_of_schedule(moment(0)), None);
    }

    #[tokio::test]
    async fn what_is_written_is_read_until_it_is_forgotten() {
        let (store, marks) = (Arc::new(MemoryStore::new()), Table::marks("marks"));
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let outbox = Outbox::without_log(
            Arc::<MemoryStore>::clone(&store),
            clock,
            registry,
            marks.clone(),
        );
        let mut failures = Failures::default();
        failures.add("no", moment(0), moment(1));
        outbox.put_failures("c", "e", &failures).await.unwrap();
        let read = outbox.failures("c", "e").await.unwrap();
        assert_eq!(read, Some(failures));
        assert_eq!(outbox.failures("c", "other").await.unwrap(), None);
        tokio::time::sleep(Duration::from_millis(2)).await;
        outbox.forget_failures("c", "e").await.unwrap();
        assert_eq!(outbox.failures("c", "e").await.unwrap(), None);
        let rows = store.items(&marks);
        assert!(rows[0]["expires_at"].as_i64().unwrap() <= SystemClock.now().unix_seconds());
    }
}
