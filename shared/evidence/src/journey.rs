//! The journey of an event: when it was committed and published, and which consumers handled it.

use events::{EventId, EventType, Timestamp};
use outbox::{Error, Outbox, log::LogRow};
use schemars::JsonSchema;
use serde::Serialize;
use views::feed::Found;

use crate::{EvidenceTables, HandledBy, handled_by};

/// The journey of an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Journey {
    /// The event's id.
    pub event_id: EventId,
    /// The event type: `domain.action`.
    pub event_type: EventType,
    /// The aggregate, `type/id`.
    pub aggregate: String,
    /// Its number among the aggregate's events.
    pub sequence: u64,
    /// The event whose handling emitted it.
    pub causation_id: Option<EventId>,
    /// When it happened.
    pub occurred_at: Timestamp,
    /// When it was committed; null if it has left the log and only the feed still has it.
    pub committed_at: Option<Timestamp>,
    /// When it was last published; null while it is pending, and after it has left the log.
    pub published_at: Option<Timestamp>,
    /// When the bus refused it for good. `millrace republish` sends it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub failed_at: Option<Timestamp>,
    /// Why the bus refused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// Its place in the feed.
    pub position: u64,
    /// When the feed recorded it; null after it has expired from the feed.
    pub recorded_at: Option<Timestamp>,
    /// Every consumer that listens to it, with its progress.
    pub consumers: Vec<HandledBy>,
}

impl Journey {
    /// The journey of an event that [`views::feed::find`] found.
    ///
    /// # Errors
    /// [`Error`] if the store fails or a row cannot be read.
    pub async fn of(outbox: &Outbox, tables: &EvidenceTables, found: Found) -> Result<Self, Error> {
        let envelope = found.envelope;
        let logged = found.logged.as_ref();
        Ok(Self {
            consumers: handled_by(outbox, tables, &envelope).await?,
            event_id: envelope.event_id,
            aggregate: format!("{}/{}", envelope.aggregate_type, envelope.aggregate_id),
            sequence: envelope.sequence.number(),
            causation_id: envelope.causation_id,
            occurred_at: envelope.occurred_at,
            event_type: envelope.event_type,
            committed_at: logged.map(|row| row.committed_at),
            published_at: logged.and_then(LogRow::published_at),
            failed_at: logged.and_then(LogRow::failed_at),
            last_error: logged.and_then(|row| row.last_error().map(str::to_owned)),
            position: found.position,
            recorded_at: found.fed.map(|row| row.fed_at),
        })
    }
}
