//! What tests of both machines need: a log that numbers events as a commit does.

use events::{Cause, Draft, Envelope, EventId, Registry, Sequence, Stamp, Timestamp};
use uuid::Uuid;

pub(crate) fn at(second: u64) -> Timestamp {
    let millis = i64::try_from(second * 1_000).expect("in range");
    Timestamp::from_unix_millis(millis).expect("a moment")
}

pub(crate) fn number(number: u64) -> Sequence {
    Sequence::new(number).expect("a number")
}

/// The events of one aggregate.
#[derive(Debug, Default)]
pub(crate) struct Log(pub(crate) Vec<Envelope>);

impl Log {
    pub(crate) fn append(&mut self, drafts: impl IntoIterator<Item = Draft>, now: Timestamp) {
        let registry = Registry::shipped();
        for draft in drafts {
            registry
                .validate_draft(&draft)
                .expect("as its contract says");
            let sequence = u64::try_from(self.0.len()).expect("few") + 1;
            let id = Uuid::new_v4();
            let cause = Cause::default();
            let envelope = draft.seal(&Stamp {
                event_id: EventId::new(id).expect("version 4"),
                sequence: number(sequence),
                now,
                cause: &cause,
            });
            // As it comes back from the log.
            let text = envelope.to_json().expect("small");
            self.0.push(Registry::read(&text).expect("whole"));
        }
    }

    /// Every fact is told once.
    pub(crate) fn names_every_fact_once(&self) -> bool {
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
