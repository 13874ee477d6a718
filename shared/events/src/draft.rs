//! An event before its commit.

use crate::{
    AggregateId, AggregateType, Contract, ContractInfo, CorrelationId, Envelope, EnvelopeError,
    EventId, EventType, EventVersion, IdError, IdempotencyKey, Metadata, Payload, Priority,
    Producer, Sequence, Text, TextError, Timestamp, TraceParent,
};

/// Why a draft could not be made.
#[derive(Debug, thiserror::Error)]
pub enum DraftError {
    /// A declared or given text does not have its shape.
    #[error(transparent)]
    Text(#[from] TextError),
    /// The declared version is out of range.
    #[error(transparent)]
    Version(#[from] IdError),
    /// The payload cannot be serialised.
    #[error(transparent)]
    Payload(#[from] EnvelopeError),
}

/// The cause of an event. The consumer runtime and the API glue pass it on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cause {
    /// The correlation id of the chain; absent at the chain's start.
    pub correlation_id: Option<CorrelationId>,
    /// The event that is being handled; absent for a command.
    pub event_id: Option<EventId>,
    /// The trace to continue.
    pub trace_id: Option<TraceParent>,
    /// Who acted and from where, for events whose draft has no metadata of its own.
    pub metadata: Option<Metadata>,
}

impl Cause {
    /// The cause of all events that are emitted while this event is handled.
    #[must_use]
    pub fn event(envelope: &Envelope) -> Self {
        Self {
            correlation_id: Some(envelope.correlation_id),
            event_id: Some(envelope.event_id),
            trace_id: envelope.trace_id.clone(),
            metadata: envelope.metadata.clone(),
        }
    }
}

/// What the commit adds to a draft.
#[derive(Debug, Clone)]
pub struct Stamp<'a> {
    /// The new event's id.
    pub event_id: EventId,
    /// Its number among its aggregate's events.
    pub sequence: Sequence,
    /// The time of the commit.
    pub now: Timestamp,
    /// The cause of the event.
    pub cause: &'a Cause,
}

/// The running program that makes the events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// The program's version.
    pub version: Option<Text<64>>,
    /// The instance of the program.
    pub instance: Option<Text<256>>,
}

/// An event that is not yet committed. It has no id and no sequence, and no time unless the producer sets one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Draft {
    pub(crate) event_type: EventType,
    pub(crate) event_version: EventVersion,
    pub(crate) producer: Producer,
    pub(crate) producer_version: Option<Text<64>>,
    pub(crate) producer_instance: Option<Text<256>>,
    pub(crate) priority: Priority,
    pub(crate) aggregate_type: AggregateType,
    pub(crate) aggregate_id: AggregateId,
    pub(crate) payload: Payload,
    pub(crate) idempotency_key: Option<IdempotencyKey>,
    pub(crate) metadata: Option<Metadata>,
    // An event that other systems published keeps its id, time and chain.
    pub(crate) event_id: Option<EventId>,
    pub(crate) occurred_at: Option<Timestamp>,
    pub(crate) correlation_id: Option<CorrelationId>,
    pub(crate) causation_id: Option<EventId>,
    pub(crate) parent_event_id: Option<EventId>,
    pub(crate) trace_id: Option<TraceParent>,
}

impl Draft {
    /// A draft of a contract's event, with the values that the contract declares.
    ///
    /// # Errors
    /// [`DraftError`] if the contract's own declaration does not have its shape or the payload cannot be serialised.
    pub fn of<C: Contract>(payload: &C) -> Result<Self, DraftError> {
        let info = ContractInfo::of::<C>();
        Ok(Self {
            event_type: EventType::new(info.event_type)?,
            event_version: EventVersion::new(info.version)?,
            producer: Producer::new(info.producer)?,
            producer_version: None,
            producer_instance: None,
            priority: info.priority,
            aggregate_type: AggregateType::new(info.aggregate_type)?,
            aggregate_id: payload.aggregate_id(),
            payload: Payload::of(payload)?,
            idempotency_key: None,
            metadata: None,
            event_id: None,
            occurred_at: None,
            correlation_id: None,
            causation_id: None,
            parent_event_id: None,
            trace_id: None,
        })
    }

    /// Sets the idempotency key, which names the fact that the event announces. The domain makes it.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: IdempotencyKey) -> Self {
        self.idempotency_key = Some(key);
        self
    }

    /// Replaces the contract's priority.
    #[must_use]
    pub fn with_priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// Sets the time at which it happened, if that is not the time of the commit.
    #[must_use]
    pub fn with_occurred_at(mut self, moment: Timestamp) -> Self {
        self.occurred_at = Some(moment);
        self
    }

    /// Sets who acted and from where, in place of the cause's metadata.
    #[must_use]
    pub fn with_metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = Some(metadata);
        self
    }

    /// Makes another event its cause than the one that its transaction is about: one of the same transaction, or one whose
    /// consequences are dealt with later. It belongs to that event's chain.
    #[must_use]
    pub fn caused_by(mut self, cause: &Cause) -> Self {
        self.correlation_id = cause.correlation_id;
        self.causation_id = cause.event_id;
        self.parent_event_id = cause.event_id;
        self
    }

    /// Sets the program that makes the event. An event that other systems published keeps what its own producer wrote.
    #[must_use]
    pub fn made_by(mut self, program: &Program) -> Self {
        if self.event_id.is_none() {
            self.producer_version.clone_from(&program.version);
            self.producer_instance.clone_from(&program.instance);
        }
        self
    }

    /// The event type: `domain.action`.
    #[must_use]
    pub fn event_type(&self) -> &EventType {
        &self.event_type
    }

    /// The contract's version.
    #[must_use]
    pub fn event_version(&self) -> EventVersion {
        self.event_version
    }

    /// The aggregate: `aggregate_type#aggregate_id`.
    #[must_use]
    pub fn aggregate(&self) -> String {
        format!("{}#{}", self.aggregate_type, self.aggregate_id)
    }

    /// The idempotency key of the fact that the event announces, if it has one.
    #[must_use]
    pub fn idempotency_key(&self) -> Option<&IdempotencyKey> {
        self.idempotency_key.as_ref()
    }

    /// Who acted and from where, if the draft has metadata of its own.
    #[must_use]
    pub fn metadata(&self) -> Option<&Metadata> {
        self.metadata.as_ref()
    }

    /// The payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// The id that the event had when it was ingested. `None` for an event that is made here.
    #[must_use]
    pub fn event_id(&self) -> Option<EventId> {
        self.event_id
    }

    /// The time that another system gave the event. `None` for an event that is made here.
    #[must_use]
    pub fn occurred_at(&self) -> Option<Timestamp> {
        self.occurred_at
    }

    /// Makes the envelope by adding what the commit assigns.
    #[must_use]
    pub fn seal(self, stamp: &Stamp<'_>) -> Envelope {
        let event_id = self.event_id.unwrap_or(stamp.event_id);
        let cause = stamp.cause;
        let routing_key = Text::new(format!("{}.{}", self.event_type, self.event_version)).ok();
        Envelope {
            event_id,
            correlation_id: self
                .correlation_id
                .or(cause.correlation_id)
                .unwrap_or_else(|| event_id.into()),
            causation_id: self.causation_id.or(cause.event_id),
            parent_event_id: self.parent_event_id.or(cause.event_id),
            trace_id: self.trace_id.or_else(|| cause.trace_id.clone()),
            occurred_at: self.occurred_at.unwrap_or(stamp.now),
            sequence: stamp.sequence,
            routing_key,
            event_type: self.event_type,
            event_version: self.event_version,
            producer: self.producer,
            producer_version: self.producer_version,
            producer_instance: self.producer_instance,
            priority: self.priority,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            idempotency_key: self.idempotency_key,
            payload: self.payload,
            metadata: self.metadata.or_else(|| cause.metadata.clone()),
        }
    }
}
