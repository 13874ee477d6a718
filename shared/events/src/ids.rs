//! The ids, sequence, version and priority of an event.

use std::{borrow::Cow, fmt, str::FromStr};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use uuid::Uuid;

/// Why an id, version or number was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// Not a UUID in hyphenated form.
    #[error("not a UUID of the form xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx")]
    NotUuid,
    /// An event id has the UUID version 4 or 7.
    #[error("UUID of version {0}; an event id is of version 4 or 7")]
    WrongUuidVersion(usize),
    /// Not `v1`, `v2`, …
    #[error("not an event version: v followed by a number from 1 to 9999")]
    NotVersion,
    /// Sequences start at 1.
    #[error("a sequence is an integer from 1 to 9007199254740991")]
    NotSequence,
    /// Not a W3C traceparent of version 00.
    #[error("not a W3C traceparent: 00-<32 hex>-<16 hex>-<2 hex>, ids not all zero")]
    NotTraceParent,
}

// Only the hyphenated form is accepted, as the schema's pattern requires. `Uuid` itself also accepts URNs and braces.
fn parse_uuid(text: &str) -> Result<Uuid, IdError> {
    if text.len() != 36 {
        return Err(IdError::NotUuid);
    }
    Uuid::try_parse(text).map_err(|_| IdError::NotUuid)
}

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident, $expected:literal, $pattern:literal, $check:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Accepts a UUID if its version is one that this type allows.
            ///
            /// # Errors
            /// [`IdError::WrongUuidVersion`] if the type does not allow the version.
            pub fn new(uuid: Uuid) -> Result<Self, IdError> {
                let check: fn(&Uuid) -> Result<(), IdError> = $check;
                check(&uuid)?;
                Ok(Self(uuid))
            }

            /// The UUID.
            #[must_use]
            pub fn uuid(&self) -> Uuid {
                self.0
            }
        }

        impl FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                Self::new(parse_uuid(text)?)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "type": "string", "format": "uuid", "pattern": $pattern, "x-expected": $expected
                })
            }
        }
    };
}

uuid_type!(
    /// The id of one event. Millrace makes UUIDs of version 7, which sort by time, and also accepts version 4.
    EventId,
    "a UUID of version 4 or 7 (8-4-4-4-12 hexadecimal digits)",
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[47][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}$",
    |uuid| match uuid.get_version_num() {
        4 | 7 if uuid.get_variant() == uuid::Variant::RFC4122 => Ok(()),
        other => Err(IdError::WrongUuidVersion(other)),
    }
);

uuid_type!(
    /// The chain that an event belongs to: the first event's own id, which every event emitted by a handler inherits.
    /// Callers may set a UUID of any version.
    CorrelationId,
    "a UUID (8-4-4-4-12 hexadecimal digits)",
    "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
    |_| Ok(())
);

/// The ids of a domain's things: UUIDs of any version, so that any [`Uuid`] made here can become one.
macro_rules! domain_ids {
    ($($(#[$doc:meta])* $name:ident),+ $(,)?) => {$(
        uuid_type!(
            $(#[$doc])*
            $name,
            "a UUID (8-4-4-4-12 hexadecimal digits)",
            "^[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}$",
            |_| Ok(())
        );

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }
    )+};
}

domain_ids! {
    /// The id of one movement of value in a domain's books.
    TransactionId,
    /// The id of one staked amount.
    PositionId,
    /// The id of one amount held in escrow.
    EscrowId,
    /// The id of one payment.
    PaymentId,
    /// The id of one settlement of a payment.
    SettlementId,
    /// The id of one loan.
    LoanId,
    /// The id of one draw on a loan.
    DrawId,
    /// The id of one version of a loan's payment schedule.
    ScheduleId,
    /// The id of one operation over dead letters.
    OperationId,
    /// The id of one endpoint that is sent events.
    WebhookId,
    /// The id of one customer's cart.
    CartId,
    /// The id of one customer's order of goods.
    OrderId,
    /// The id of one quote to a customer.
    QuoteId,
    /// The id of one line of an order.
    ItemId,
}

impl From<EventId> for CorrelationId {
    fn from(id: EventId) -> Self {
        Self(id.0)
    }
}

/// The version of an event type's contract, written `v1`, `v2`, …, from 1 to 9999.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EventVersion(u16);

impl EventVersion {
    /// The largest version number.
    pub const MAX: u16 = 9_999;

    /// Accepts a number from 1 to 9999.
    ///
    /// # Errors
    /// [`IdError::NotVersion`] if the number is out of range.
    pub const fn new(number: u16) -> Result<Self, IdError> {
        if number == 0 || number > Self::MAX {
            Err(IdError::NotVersion)
        } else {
            Ok(Self(number))
        }
    }

    /// The number after the `v`.
    #[must_use]
    pub const fn number(self) -> u16 {
        self.0
    }
}

impl FromStr for EventVersion {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let digits = text.strip_prefix('v').ok_or(IdError::NotVersion)?;
        // `parse` also accepts "+1" and "01"; the schema does not.
        if digits.starts_with('0') || !digits.bytes().all(|b| b.is_ascii_digit()) {
            return Err(IdError::NotVersion);
        }
        Self::new(digits.parse().map_err(|_| IdError::NotVersion)?)
    }
}

impl fmt::Display for EventVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v{}", self.0)
    }
}

/// The number of an event among the events of its aggregate: 1, 2, 3… without gaps, assigned at commit.
///
/// At most 2^53 − 1, so that every JSON reader holds it exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sequence(u64);

impl Sequence {
    /// The largest sequence: 2^53 − 1.
    pub const MAX: u64 = (1 << 53) - 1;

    /// The first sequence.
    pub const FIRST: Self = Self(1);

    /// Accepts a number from 1 to [`Self::MAX`].
    ///
    /// # Errors
    /// [`IdError::NotSequence`] if the number is out of range.
    pub const fn new(number: u64) -> Result<Self, IdError> {
        if number == 0 || number > Self::MAX {
            Err(IdError::NotSequence)
        } else {
            Ok(Self(number))
        }
    }

    /// The number.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Sequence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Sequence {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl<'de> Deserialize<'de> for Sequence {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(u64::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for Sequence {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Sequence".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // `x-integer`: in JSON Schema 1.0 is an integer, for the decoders it is not.
        json_schema!({
            "type": "integer", "x-integer": true, "minimum": 1, "maximum": Self::MAX,
            "x-expected": format!("an integer from 1 to {}, without a fraction", Self::MAX)
        })
    }
}

/// A W3C trace context header of version 00 (<https://www.w3.org/TR/trace-context/#traceparent-header>).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TraceParent(String);

impl TraceParent {
    /// The header's text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The 32 hexadecimal digits of the trace id.
    #[must_use]
    pub fn trace_id(&self) -> &str {
        &self.0[3..35]
    }

    /// The 16 hexadecimal digits of the parent's span id.
    #[must_use]
    pub fn parent_id(&self) -> &str {
        &self.0[36..52]
    }

    /// Whether the caller recorded the trace.
    #[must_use]
    pub fn sampled(&self) -> bool {
        u8::from_str_radix(&self.0[53..55], 16).is_ok_and(|flags| flags & 1 == 1)
    }
}

impl FromStr for TraceParent {
    type Err = IdError;
    fn from_str(text: &str) -> Result<Self, IdError> {
        let bytes = text.as_bytes();
        let shaped = bytes.len() == 55
            && bytes.iter().enumerate().all(|(at, byte)| match at {
                2 | 35 | 52 => *byte == b'-',
                _ => byte.is_ascii_digit() || (b'a'..=b'f').contains(byte),
            });
        let zero = |range: &str| range.bytes().all(|b| b == b'0');
        if shaped && text.starts_with("00-") && !zero(&text[3..35]) && !zero(&text[36..52]) {
            Ok(Self(text.to_owned()))
        } else {
            Err(IdError::NotTraceParent)
        }
    }
}

macro_rules! text_serde {
    ($name:ident, $expected:literal, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }
        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "x-expected": $expected })
            }
        }
    };
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

text_serde!(
    TraceParent,
    "a W3C traceparent (00-, 32 hex digits, -, 16 hex digits, -, 2 hex digits; ids not all zero)",
    "^00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}$"
);
text_serde!(
    EventVersion,
    "v and a number from 1 to 9999",
    "^v[1-9][0-9]{0,3}$"
);

/// How soon an event must reach its handlers. The lane follows from it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Priority {
    /// Best effort; batched to save cost.
    Low,
    /// p95 under 30 s from commit to handler start.
    Normal,
    /// p95 under 5 s.
    High,
    /// p95 under 1 s.
    Critical,
}

impl Priority {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Normal => "normal",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Priority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
