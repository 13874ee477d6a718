//! Helpers for tests of domains: a log that numbers events as a commit does.
#![expect(
    clippy::expect_used,
    reason = "only tests use it: what cannot be made fails the test"
)]

use events::{Cause, Draft, Envelope, EventId, Registry, Sequence, Stamp, Timestamp};
use outbox::{Clock as _, SystemClock};

/// The time `second` seconds after the epoch.
#[must_use]
pub fn at(second: u64) -> Timestamp {
    let millis = i64::try_from(second * 1_000).expect("in range");
    Timestamp::from_unix_millis(millis).expect("a moment")
}

/// A sequence; `number` must be above 0.
#[must_use]
pub fn number(number: u64) -> Sequence {
    Sequence::new(number).expect("a number")
}

/// The events of one aggregate, numbered from 1.
#[derive(Debug, Default)]
pub struct Log(pub Vec<Envelope>);

impl Log {
    /// Adds events and validates each against its contract. They are stored as they would come back from the log.
    pub fn append(&mut self, drafts: impl IntoIterator<Item = Draft>, now: Timestamp) {
        let registry = Registry::shipped();
        for draft in drafts {
            registry
                .validate_draft(&draft)
                .expect("as its contract says");
            let sequence = u64::try_from(self.0.len()).expect("few") + 1;
            let cause = Cause::default();
            let envelope = draft.seal(&Stamp {
                event_id: EventId::new(SystemClock.uuid()).expect("version 7"),
                sequence: number(sequence),
                now,
                cause: &cause,
            });
            let text = envelope.to_json().expect("small");
            self.0.push(Registry::read(&text).expect("whole"));
        }
    }

    /// Whether every event has an idempotency key, and no two events of a type share one.
    #[must_use]
    pub fn names_every_fact_once(&self) -> bool {
        let mut facts: Vec<String> = self
            .0
            .iter()
            .map(|one| {
                let key = one.idempotency_key.as_ref().expect("every event is a fact");
                format!("{} {key}", one.event_type)
            })
            .collect();
        let all = facts.len();
        facts.sort();
        facts.dedup();
        facts.len() == all
    }
}
