//! What a consumer listens to, decoded by type.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use crate::{Contract, Envelope, EventVersion, Violation, schema_of, strict, validator_for};

/// Why an event could not be decoded: the three outcomes a consumer parks with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// A type this consumer did not subscribe to.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// A version that is newer than the code or was never released.
    #[error("unknown version {version} of {event_type}")]
    UnknownVersion {
        /// The type.
        event_type: String,
        /// The version that came.
        version: EventVersion,
    },
    /// The payload breaks its contract; every violation, with its pointer.
    #[error("invalid: {}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("; "))]
    Invalid(Vec<Violation>),
}

/// How a consumer is safe against repeats of an event (its evidence that it was handled).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A mark, written in the transaction that holds the effect.
    Mark,
    /// A version guard on the projection's row: one conditional write, no mark.
    Guard,
    /// A cursor per aggregate, advanced in the transaction that holds the effect: the aggregate's events in order, read from
    /// the event log.
    Cursor,
}

/// Whether no event type stands twice in a subscription: the second variant of a type would never be reached. A consumer
/// names a type once, at the version its code is written for; older versions come to it upcast.
#[doc(hidden)]
#[must_use]
pub const fn each_type_once(types: &[Subscribed]) -> bool {
    let mut at = 0;
    while at < types.len() {
        let mut other = at + 1;
        while other < types.len() {
            if same(
                types[at].event_type.as_bytes(),
                types[other].event_type.as_bytes(),
            ) {
                return false;
            }
            other += 1;
        }
        at += 1;
    }
    true
}

const fn same(one: &[u8], other: &[u8]) -> bool {
    if one.len() != other.len() {
        return false;
    }
    let mut at = 0;
    while at < one.len() {
        if one[at] != other[at] {
            return false;
        }
        at += 1;
    }
    true
}

/// One event type a consumer subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// `domain.action`.
    pub event_type: &'static str,
    /// The version the code is written for; older ones are upcast.
    pub version: u16,
    /// How repeats of it are harmless.
    pub evidence: Evidence,
}

/// The events a consumer listens to; implemented by [`crate::subscription!`].
pub trait Subscription: Sized + Send + Sync {
    /// Every type, the version the code knows, the evidence.
    const TYPES: &'static [Subscribed];

    /// Decodes by the event's type.
    ///
    /// # Errors
    /// [`DecodeError`].
    fn decode(envelope: &Envelope) -> Result<Self, DecodeError>;

    /// How repeats of an event of this type are harmless; `None` for a type that is not subscribed to.
    #[must_use]
    fn evidence(event_type: &str) -> Option<Evidence> {
        Self::TYPES
            .iter()
            .find(|one| one.event_type == event_type)
            .map(|one| one.evidence)
    }
}

/// Decodes a payload as a contract's type, upcasting older versions. The schema runs only when that fails, to name every
/// violation.
///
/// # Errors
/// [`DecodeError::UnknownVersion`] or [`DecodeError::Invalid`].
pub fn decode_payload<C: Contract>(envelope: &Envelope) -> Result<C, DecodeError> {
    if envelope.event_version.number() == C::VERSION {
        return decode_as::<C>(envelope.payload.raw());
    }
    C::upcast(envelope.event_version, envelope.payload.raw()).unwrap_or_else(|| {
        Err(DecodeError::UnknownVersion {
            event_type: envelope.event_type.to_string(),
            version: envelope.event_version,
        })
    })
}

/// Decodes a payload as this very type: what an upcaster reads the older version with.
///
/// # Errors
/// [`DecodeError::Invalid`] with every violation of the type's schema.
pub fn decode_as<T: DeserializeOwned + JsonSchema>(payload: &RawValue) -> Result<T, DecodeError> {
    strict::from_str(payload.get()).map_err(|error| explain::<T>(payload, &error))
}

#[cold]
fn explain<T: JsonSchema>(payload: &RawValue, error: &serde_json::Error) -> DecodeError {
    let mut violations = match (
        serde_json::from_str::<Value>(payload.get()),
        validator_for(&schema_of::<T>()),
    ) {
        (Ok(document), Ok(validator)) => validator.violations(&document, "/payload"),
        _ => Vec::new(),
    };
    if violations.is_empty() {
        // Only what JSON values cannot show, such as a field given twice.
        violations.push(Violation::new("/payload", strict::reason(error)));
    }
    DecodeError::Invalid(violations)
}

/// Declares what a consumer listens to: an enum with one variant per contract, each with the evidence by which repeats
/// are harmless.
///
/// ```
/// events::subscription! {
///     /// What the example listens to.
///     pub enum Event {
///         /// Credits came into being.
///         Minted(events::contracts::cloud::Minted) by Mark,
///         /// A contact changed.
///         Updated(events::contracts::member::Updated) by Guard,
///     }
/// }
/// assert_eq!(<Event as events::Subscription>::TYPES.len(), 2);
/// ```
///
/// A type stands in it once, at the version the code is written for; older versions are upcast to it. Twice does not
/// compile, for the second would never be reached:
///
/// ```compile_fail,E0080
/// events::subscription! {
///     enum Event {
///         Minted(events::contracts::cloud::Minted) by Mark,
///         Again(events::contracts::cloud::Minted) by Mark,
///     }
/// }
/// ```
#[macro_export]
macro_rules! subscription {
    ($(#[$doc:meta])* $vis:vis enum $name:ident {
        $($(#[$variant_doc:meta])* $variant:ident($contract:ty) by $evidence:ident),+ $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone)]
        $vis enum $name {
            $($(#[$variant_doc])* $variant($contract)),+
        }

        const _: () = assert!(
            $crate::reexport::each_type_once(<$name as $crate::Subscription>::TYPES),
            "an event type stands twice in a subscription: name it once, at the version the code is written for",
        );

        impl $crate::Subscription for $name {
            const TYPES: &'static [$crate::Subscribed] = &[$($crate::Subscribed {
                event_type: <$contract as $crate::Contract>::TYPE,
                version: <$contract as $crate::Contract>::VERSION,
                evidence: $crate::Evidence::$evidence,
            }),+];

            fn decode(envelope: &$crate::Envelope) -> ::std::result::Result<Self, $crate::DecodeError> {
                let event_type = envelope.event_type.as_str();
                $(if event_type == <$contract as $crate::Contract>::TYPE {
                    return $crate::decode_payload::<$contract>(envelope).map(Self::$variant);
                })+
                ::std::result::Result::Err($crate::DecodeError::UnknownType(event_type.to_owned()))
            }
        }
    };
}
