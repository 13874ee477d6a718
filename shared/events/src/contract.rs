//! The [`Contract`] trait: what an event type and version declares.

use std::{fmt, time::Duration};

use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, value::RawValue};

use crate::{AggregateId, DecodeError, EventVersion, Priority};

/// The function through which other systems publish. They may publish the events of a contract that names it as its
/// producer. All other events are published only by the function that owns the change.
pub const OUTSIDE: &str = "event-ingest";

/// The maximum length of a function's name, in characters. A consumer's name is part of the key of its marks.
pub const LONGEST_FUNCTION_NAME: usize = 28;

/// How long a published event stays in the event log. An unpublished one never expires.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Retention {
    /// Kept forever. The money domains use this: their history is their proof.
    Forever,
    /// Removed this many days after publication.
    Days(u16),
}

impl Retention {
    /// How long after its publication an event stays; `None`: forever.
    #[must_use]
    pub const fn span(self) -> Option<Duration> {
        match self {
            Self::Forever => None,
            Self::Days(days) => Some(Duration::from_secs(days as u64 * 24 * 60 * 60)),
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Forever => f.write_str("forever"),
            Self::Days(days) => write!(f, "{days} days"),
        }
    }
}

/// One event type and version, declared once. Implement it on the payload's type and add it to
/// [`crate::Registry::shipped`] or to your own registry. Schema, catalogue, docs and decoding follow from it.
///
/// A released version may gain optional fields, more names in enums that have a fallback, and looser bounds. Any other
/// change needs a new type with the next [`Self::VERSION`], whose [`Self::upcast`] reads the older versions.
pub trait Contract:
    Serialize + DeserializeOwned + JsonSchema + Send + Sync + Sized + 'static
{
    /// The event type: `domain.action`.
    const TYPE: &'static str;
    /// The version number: 1, 2, 3…
    const VERSION: u16;
    /// The priority, unless the producer sets another one.
    const PRIORITY: Priority;
    /// The name of the function that publishes it.
    const PRODUCER: &'static str;
    /// The aggregate type: what kind of thing the event is about.
    const AGGREGATE: &'static str;
    /// How long the event stays in the event log after publication.
    const RETENTION: Retention;
    /// The payload field that holds the aggregate's id, and the id to use when the field is absent.
    const AGGREGATE_FIELD: AggregateField;

    /// The id of the aggregate that the event is about.
    fn aggregate_id(&self) -> AggregateId;

    /// Reads an older version, usually with [`crate::decode_as`] and a conversion. Returns `None` if this type never
    /// had that version, or if the version is newer than this code. The consumer then parks the event as an unknown
    /// version.
    fn upcast(version: EventVersion, payload: &RawValue) -> Option<Result<Self, DecodeError>> {
        let (_, _) = (version, payload);
        None
    }
}

/// How ingest finds the aggregate's id if the event does not carry one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AggregateField {
    /// The id is in this payload field.
    Field(&'static str),
    /// The id is in this payload field; if the field is absent, it is the second value.
    FieldOr(&'static str, &'static str),
    /// The id is the texts of two payload fields, joined by `-`: a kind, and an id within that kind.
    Joined(&'static str, &'static str),
    /// The id is always this one: there is only one such thing.
    Fixed(&'static str),
}

impl AggregateField {
    /// The payload field that holds the id, or the last part of a joined id. `None` if the id is fixed.
    #[must_use]
    pub const fn payload_field(self) -> Option<&'static str> {
        match self {
            Self::Field(name) | Self::FieldOr(name, _) | Self::Joined(_, name) => Some(name),
            Self::Fixed(_) => None,
        }
    }

    /// The payload field that holds the first part of a joined id. `None` for all other ids.
    #[must_use]
    pub const fn kind_field(self) -> Option<&'static str> {
        match self {
            Self::Joined(name, _) => Some(name),
            Self::Field(_) | Self::FieldOr(..) | Self::Fixed(_) => None,
        }
    }

    /// The id to use when no payload field has one. `None` if a field always has it.
    #[must_use]
    pub const fn otherwise(self) -> Option<&'static str> {
        match self {
            Self::Field(_) | Self::Joined(..) => None,
            Self::FieldOr(_, id) | Self::Fixed(id) => Some(id),
        }
    }
}

/// A contract's declaration as plain values, without its Rust type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ContractInfo {
    /// The event type: `domain.action`.
    pub event_type: &'static str,
    /// The version number: 1, 2, 3…
    pub version: u16,
    /// The priority, unless the producer sets another one.
    pub priority: Priority,
    /// The name of the function that publishes it.
    pub producer: &'static str,
    /// The aggregate type.
    pub aggregate_type: &'static str,
    /// How to find the aggregate's id.
    pub aggregate_field: AggregateField,
    /// How long the event stays in the event log after publication.
    pub retention: Retention,
}

impl ContractInfo {
    /// The declaration of a contract.
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

    /// Whether other systems may publish it, through [`OUTSIDE`].
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.producer == OUTSIDE
    }

    /// The aggregate's id, found in a payload as the contract declares. `None` if the payload has no such id.
    #[must_use]
    pub fn aggregate_id_in(&self, payload: &Value) -> Option<String> {
        let text = |name: &str| match payload.get(name)? {
            Value::String(id) => Some(id.clone()),
            // The id of a numbered thing is its number.
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

    /// The aggregate in readable form: `cloud_account/{member_id, else unallocated}`.
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

    /// The path of its schema and samples, domain and file name: `cloud/account-changed-v1`.
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
