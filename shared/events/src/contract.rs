//! What a contract declares.

use std::fmt;

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{AggregateId, DecodeError, EventVersion, Priority};

/// The function through which others publish: a contract that names it as its producer is open to them, all others tell what
/// happened behind an API of their own.
pub const OUTSIDE: &str = "event-ingest";

/// How long a published event stays in the event log. An unpublished one never expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// Kept for ever: the money domains, whose history is their proof.
    Forever,
    /// Removed this many days after publication.
    Days(u16),
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("for ever"),
            Self::Days(days) => write!(f, "{days} days"),
        }
    }
}

/// One event type and version, declared once: implement this on the payload's type and add it to
/// [`crate::Registry::shipped`] (or to your own registry); schema, catalogue, docs and decoding follow from it.
///
/// A released version may gain optional fields, wider enums with a fallback and looser bounds; anything else is a new
/// type with the next [`Self::VERSION`] whose [`Self::upcast`] reads the older ones.
pub trait Contract:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
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

    /// Reads an older version, usually by [`crate::decode_as`] and a conversion. `None`: that version was never one of
    /// this type's, or is newer than this code; the consumer parks it as an unknown version.
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
    /// These two payload fields, joined by `-`: a kind and an id within it.
    Joined(&'static str, &'static str),
    /// Always this id: there is only one such thing.
    Fixed(&'static str),
}

impl AggregateField {
    /// The payload field that holds the id, or the last part of it, if one does.
    #[must_use]
    pub const fn payload_field(self) -> Option<&'static str> {
        match self {
            Self::Field(name) | Self::FieldOr(name, _) | Self::Joined(_, name) => Some(name),
            Self::Fixed(_) => None,
        }
    }

    /// The payload field that holds what stands before the id, if one does.
    #[must_use]
    pub const fn kind_field(self) -> Option<&'static str> {
        match self {
            Self::Joined(name, _) => Some(name),
            Self::Field(_) | Self::FieldOr(..) | Self::Fixed(_) => None,
        }
    }

    /// The id where no payload field gives one; `None`: a field always does.
    #[must_use]
    pub const fn otherwise(self) -> Option<&'static str> {
        match self {
            Self::Field(_) | Self::Joined(..) => None,
            Self::FieldOr(_, id) | Self::Fixed(id) => Some(id),
        }
    }
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

    /// Whether others may publish it.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.producer == OUTSIDE
    }

    /// The id of the aggregate, found in a payload as declared; `None` when the payload does not name it.
    #[must_use]
    pub fn aggregate_id_in(&self, payload: &Value) -> Option<String> {
        let text = |name: &str| match payload.get(name)? {
            Value::String(id) => Some(id.clone()),
            // Numbered things: their number is their id.
            Value::Number(id) => id.as_u64().map(|number| number.to_string()),
            _ => None,
        };
        let id = self.aggregate_field.payload_field().and_then(text);
        let named = match self.aggregate_field.kind_field() {
            Some(kind) => text(kind).zip(id).map(|(kind, id)| format!("{kind}-{id}")),
            None => id,
        };
        named.or_else(|| self.aggregate_field.otherwise().map(str::to_owned))
    }

    /// The aggregate for people: `cloud_account/{member_id, else unallocated}`.
    #[must_use]
    pub fn aggregate_pattern(&self) -> String {
        let kind = self.aggregate_type;
        match self.aggregate_field {
            AggregateField::Field(field) => format!("{kind}/{{{field}}}"),
            AggregateField::FieldOr(field, id) => format!("{kind}/{{{field}, else {id}}}"),
            AggregateField::Joined(first, second) => format!("{kind}/{{{first}}}-{{{second}}}"),
            AggregateField::Fixed(id) => format!("{kind}/{id}"),
        }
    }

    /// Domain and file name of its schema and samples: `cloud/account-changed-v1`.
    #[must_use]
    pub fn schema_path(&self) -> String {
        let (domain, action) = self
            .event_type
            .split_once('.')
            .unwrap_or((self.event_type, ""));
        format!("{domain}/{}-v{}", action.replace('_', "-"), self.version)
    }

    /// The schema's `$id`: `urn:millrace:cloud:account-changed:v1`.
    #[must_use]
    pub fn schema_id(&self) -> String {
        schema_id(self.event_type, self.version)
    }
}

/// The `$id` of the schema of a type and version.
pub(crate) fn schema_id(event_type: &str, version: u16) -> String {
    let (domain, action) = event_type.split_once('.').unwrap_or((event_type, ""));
    format!(
        "urn:millrace:{domain}:{}:v{version}",
        action.replace('_', "-")
    )
}
