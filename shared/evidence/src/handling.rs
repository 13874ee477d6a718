//! The progress of each consumer with an event.

use events::{Envelope, Evidence, Timestamp};
use futures::future::try_join_all;
use outbox::{Error, Failures, Item, Outbox};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::{Block, CheckedConsumer, EvidenceTables, Proof, ProofStatus, checked_consumers};

/// A consumer's progress with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Its evidence exists.
    Handled,
    /// There is no evidence yet: the message waits in a lane or for a retry.
    Waiting,
    /// It was parked: it is in the dead-letter queue, or was redriven from there and waits.
    Parked,
    /// Its aggregate waits for another event that was parked.
    Blocked,
    /// The event is not one that the consumer accepts, or the evidence contradicts it: see the audit.
    Unclear,
}

/// A consumer's progress with one event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HandledBy {
    /// The consumer.
    pub consumer: &'static str,
    /// The kind of evidence that shows that it was handled: `mark`, `guard` or `cursor`.
    pub evidence: &'static str,
    /// The progress.
    pub state: Handling,
    /// When it was handled, if the evidence says so. A mark does. A cursor does so for the last event it covers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handled_at: Option<Timestamp>,
    /// Why and when it was parked, if that was recorded.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parked: Option<ParkedView>,
}

/// What a consumer recorded when it parked an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ParkedView {
    /// `invalid`, `retries_exhausted`, …
    pub reason: String,
    /// The error chain; a long one is truncated.
    pub error: String,
    /// How often the consumer had failed to handle it.
    pub attempts: u32,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// When it was parked.
    pub parked_at: Timestamp,
}

impl ParkedView {
    fn of(mut failures: Failures) -> Option<Self> {
        let parked = failures.parked?;
        Some(Self {
            reason: parked.reason,
            error: failures
                .newest
                .pop()
                .map(|last| last.error)
                .unwrap_or_default(),
            attempts: failures.count,
            first_received_at: parked.first_received_at,
            parked_at: parked.parked_at,
        })
    }
}

/// The progress of every consumer that listens to an event, sorted by consumer.
///
/// # Errors
/// [`Error`] if the store fails or a row cannot be read.
pub async fn handled_by(
    outbox: &Outbox,
    tables: &EvidenceTables,
    envelope: &Envelope,
) -> Result<Vec<HandledBy>, Error> {
    let consumers = checked_consumers().into_iter();
    let asked = consumers.map(|consumer| one(outbox, tables, envelope, consumer));
    Ok(try_join_all(asked).await?.into_iter().flatten().collect())
}

async fn one(
    outbox: &Outbox,
    tables: &EvidenceTables,
    envelope: &Envelope,
    consumer: CheckedConsumer,
) -> Result<Option<HandledBy>, Error> {
    let Some(evidence) = consumer.evidence(envelope.event_type.as_str()) else {
        return Ok(None);
    };
    let mut handled = HandledBy {
        consumer: consumer.name,
        evidence: match evidence {
            Evidence::Mark => "mark",
            Evidence::Guard => "guard",
            Evidence::Cursor => "cursor",
        },
        state: Handling::Unclear,
        handled_at: None,
        parked: None,
    };
    let proof = match consumer.proof(envelope, tables) {
        Ok(Some(proof)) => proof,
        Ok(None) => return Ok(None),
        Err(_) => return Ok(Some(handled)),
    };
    let item = outbox.store().get(proof.key()).await?;
    let is_of_other = |block: &Block| block.event_id != envelope.event_id.to_string();
    handled.state = match proof.status(item.as_ref()) {
        ProofStatus::Handled => Handling::Handled,
        ProofStatus::Differs => Handling::Unclear,
        ProofStatus::Missing => match item.as_ref().and_then(Block::of) {
            Some(block) if is_of_other(&block) => Handling::Blocked,
            _ => Handling::Waiting,
        },
    };
    match handled.state {
        Handling::Handled => handled.handled_at = item.and_then(|item| proof.handled_at(&item)),
        Handling::Waiting => {
            let event_id = envelope.event_id.to_string();
            let failures = outbox.failures(consumer.name, &event_id).await?;
            if let Some(parked) = failures.and_then(ParkedView::of) {
                handled.state = Handling::Parked;
                handled.parked = Some(parked);
            }
        }
        Handling::Parked | Handling::Blocked | Handling::Unclear => {}
    }
    Ok(Some(handled))
}

impl Proof {
    fn handled_at(&self, item: &Item) -> Option<Timestamp> {
        let moment = |name: &str| item.get(name).and_then(Value::as_str)?.parse().ok();
        match self {
            Self::Mark(_) => moment("created_at"),
            Self::Cursor(_, sequence) => {
                let is_last = item.get("position").and_then(Value::as_u64) == Some(*sequence);
                moment("updated_at").filter(|_| is_last)
            }
            Self::Row(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use std::sync::Arc;

    use events::Registry;
    use outbox::{Mark, Parked, Store as _, SystemClock, Table, encode_item, memory::MemoryStore};
    use serde_json::json;

    use super::*;

    const MARKS: &str = "marks";

    async fn stand() -> (Outbox, Arc<MemoryStore>, Envelope) {
        let store = Arc::new(MemoryStore::new());
        let outbox = Outbox::new(
            Arc::<MemoryStore>::clone(&store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks(MARKS),
        );
        let sample = include_str!("../../events/samples/common/envelope-v1/full.json");
        (outbox, store, Registry::read(sample).unwrap())
    }

    async fn of(outbox: &Outbox, envelope: &Envelope, name: &str) -> HandledBy {
        let tables = EvidenceTables::new(Table::marks(MARKS));
        let all = handled_by(outbox, &tables, envelope).await.unwrap();
        all.into_iter().find(|one| one.consumer == name).unwrap()
    }

    #[tokio::test]
    async fn an_event_waits_is_parked_and_is_handled_and_then_the_mark_outranks_what_was_written_down()
     {
        let (outbox, store, envelope) = stand().await;
        let waiting = of(&outbox, &envelope, "analytics").await;
        assert_eq!(
            (waiting.state, waiting.evidence),
            (Handling::Waiting, "mark")
        );
        let moment: Timestamp = "2026-11-29T03:00:00.000Z".parse().unwrap();
        let id = envelope.event_id.to_string();
        let mut failures = Failures::default();
        failures.add("no", moment, moment);
        outbox
            .put_failures("analytics", &id, &failures)
            .await
            .unwrap();
        let failing = of(&outbox, &envelope, "analytics").await;
        assert_eq!((failing.state, failing.parked), (Handling::Waiting, None));
        failures.parked = Some(Parked {
            reason: "rejected".into(),
            first_received_at: moment,
            parked_at: moment,
        });
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        outbox
            .put_failures("analytics", &id, &failures)
            .await
            .unwrap();
        let seen = of(&outbox, &envelope, "analytics").await;
        assert_eq!(seen.state, Handling::Parked);
        assert_eq!(seen.parked.unwrap().reason, "rejected");
        let marks = Table::marks(MARKS);
        let key = Mark::event("analytics", &envelope).key(&marks).unwrap();
        let mark = encode_item(&key, &json!({ "created_at": moment })).unwrap();
        store.put_all(&marks, &[mark]).await.unwrap();
        let seen = of(&outbox, &envelope, "analytics").await;
        assert_eq!(
            (seen.state, seen.handled_at),
            (Handling::Handled, Some(moment))
        );
        assert_eq!(seen.parked, None);
    }

    #[tokio::test]
    async fn behind_a_parked_event_its_aggregate_is_blocked_and_the_parked_one_is_not() {
        let (outbox, store, envelope) = stand().await;
        let marks = Table::marks(MARKS);
        let key = outbox::cursor_key(&marks, "event-feed", &envelope.aggregate()).unwrap();
        let number = envelope.sequence.number();
        let moment = "2026-11-29T03:00:00.000Z";
        let other = "550e8400-e29b-41d4-a716-446655440000";
        for (position, blocked_by, state, at) in [
            (number - 1, Some(other), Handling::Blocked, None),
            (
                number - 1,
                Some(envelope.event_id.to_string().as_str()),
                Handling::Waiting,
                None,
            ),
            (
                number,
                None,
                Handling::Handled,
                Some(moment.parse().unwrap()),
            ),
            (number + 1, None, Handling::Handled, None),
        ] {
            let mut row = json!({ "position": position, "updated_at": moment });
            if let Some(id) = blocked_by {
                row["blocked_sequence"] = number.into();
                row["blocked_event_id"] = id.into();
                row["blocked_reason"] = "rejected".into();
            }
            let row = encode_item(&key, &row).unwrap();
            store.put_all(&marks, &[row]).await.unwrap();
            let seen = of(&outbox, &envelope, "event-feed").await;
            assert_eq!((seen.state, seen.handled_at), (state, at));
        }
    }
}
