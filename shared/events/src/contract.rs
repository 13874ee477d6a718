//! What a contract declares.

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::value::RawValue;

use crate::{AggregateId, DecodeError, EventVersion, Priority};

/// How long a published event stays in the event log. An unpublished one never expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// Kept for ever: the money domains, whose history is their proof.
    Forever,
    /// Removed this many days after publication.
    Days(u16),
}

/// One event type and version, declared once: implement this on the payload's type and add it to
/// [`crate::Registry::shipped`] (or to your own registry); schema, catalogue, docs and decoding follow from it.
///
/// A released version may gain optional fields, wider enums with a fallback and looser bounds; anything else is a new
/// type with the next [`Self::VERSION`] whose [`Self::upcast`] reads the older ones.
pub trait Contract: Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static {
    /// `domain.action`.
    const TYPE: &'static str;
    /// 1, 2, 3…
    const VERSION: u16;
    /// Priority unless the producer says otherwise.
    const PRIORITY: Priority;
    /// Who publishes it: the function's name.
    const PRODUCER: &'static str;
    /// What kind of thing it is about.
    const AGGREGATE: &'static str;
    /// How long it stays in the event log once published.
    const RETENTION: Retention;
    /// The payload field that holds the aggregate's id, and what stands for it when the field is absent.
    const AGGREGATE_FIELD: AggregateField;

    /// The id of the thing it is about.
    fn aggregate_id(&self) -> AggregateId;

    /// Reads an older version. `None`: that version was never one of this type's.
    fn upcast(version: EventVersion, payload: &RawValue) -> Option<Result<Self, DecodeError>> {
        let (_, _) = (version, payload);
        None
    }
}

/// Where ingest finds the aggregate's id of an event that came without one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateField {
    /// This payload field.
    Field(&'static str),
    /// This payload field, or this id when it is absent.
    FieldOr(&'static str, &'static str),
    /// Always this id: there is only one such thing.
    Fixed(&'static str),
}

/// What is known of a contract without its type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractInfo {
    /// `domain.action`.
    pub event_type: &'static str,
    /// 1, 2, 3…
    pub version: u16,
    /// Priority unless the producer says otherwise.
    pub priority: Priority,
    /// Who publishes it.
    pub producer: &'static str,
    /// What kind of thing it is about.
    pub aggregate_type: &'static str,
    /// Which of them.
    pub aggregate_field: AggregateField,
    /// How long it stays in the event log once published.
    pub retention: Retention,
}

impl ContractInfo {
    /// What a contract declares.
    #[must_use]
    pub const fn of<C: Contract>() -> Self {
        Self {
            event_type: C::TYPE,
            version: C::VERSION,
            priority: C::PRIORITY,
            producer: C::PRODUCER,
            aggregate_type: C::AGGREGATE,
            aggregate_field: C::AGGREGATE_FIELD,
            retention: C::RETENTION,
        }
    }
}
