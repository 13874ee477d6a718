//! What a consumer listens to, decoded by type.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use crate::{Contract, Envelope, EventVersion, Selection, Violation, schema::validator_of, strict};

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

/// The events a consumer listens to; implemented by [`crate::subscription!`].
pub trait Subscription: Sized + Send + Sync {
    /// Which they are.
    const SELECTION: Selection;

    /// Decodes by the event's type; of a selection by kind, lets the envelope through.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::UnknownType`] exactly where the type is not selected.
    fn decode(envelope: &Envelope) -> Result<Self, DecodeError>;

    /// How repeats of an event of this type are harmless; `None` for a type that is not selected.
    #[must_use]
    fn evidence(event_type: &str) -> Option<Evidence> {
        Self::SELECTION.evidence(event_type)
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
pub fn decode_as<T: DeserializeOwned + JsonSchema + 'static>(
    payload: &RawValue,
) -> Result<T, DecodeError> {
    strict::from_str(payload.get()).map_err(|error| explain::<T>(payload, &error))
}

#[cold]
fn explain<T: JsonSchema + 'static>(payload: &RawValue, error: &serde_json::Error) -> DecodeError {
    let mut violations = match (
        serde_json::from_str::<Value>(payload.get()),
        &*validator_of::<T>(),
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

/// Declares what a consumer listens to: an enum with one variant per contract, or a kind of events.
///
/// Single types are decoded, each with the evidence by which repeats are harmless:
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
/// # use events::Subscription as _;
/// assert_eq!(Event::SELECTION.types().len(), 2);
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
///
/// By kind the handler gets the envelope alone: `Every` event, those `KeptForever`, or whole `Domains`
/// ([`Selection`](crate::Selection)). A new contract of the kind reaches the consumer without an edit.
///
/// ```
/// events::subscription! {
///     /// All that happens to credits and in wallets.
///     pub struct Event: Domains(&["cloud", "wallet"]) by Cursor;
/// }
/// # use events::Subscription as _;
/// assert!(Event::SELECTION.takes("cloud.minted"));
/// assert!(!Event::SELECTION.takes("member.registered"));
/// ```
///
/// A domain that is not in [`DOMAINS`](crate::DOMAINS) does not compile:
///
/// ```compile_fail,E0080
/// events::subscription! {
///     struct Event: Domains(&["clouds"]) by Cursor;
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
            <$name as $crate::Subscription>::SELECTION.is_sound(),
            "an event type stands twice in a subscription: name it once, at the version the code is written for",
        );

        impl $crate::Subscription for $name {
            const SELECTION: $crate::Selection = $crate::Selection::Types(&[$($crate::Subscribed {
                event_type: <$contract as $crate::Contract>::TYPE,
                version: <$contract as $crate::Contract>::VERSION,
                evidence: $crate::Evidence::$evidence,
            }),+]);

            fn decode(envelope: &$crate::Envelope) -> ::std::result::Result<Self, $crate::DecodeError> {
                let event_type = envelope.event_type.as_str();
                $(if event_type == <$contract as $crate::Contract>::TYPE {
                    return $crate::decode_payload::<$contract>(envelope).map(Self::$variant);
                })+
                ::std::result::Result::Err($crate::DecodeError::UnknownType(event_type.to_owned()))
            }
        }
    };
    ($(#[$doc:meta])* $vis:vis struct $name:ident: $kind:ident $(($domains:expr))? by $evidence:ident;) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        $vis struct $name;

        const _: () = assert!(
            <$name as $crate::Subscription>::SELECTION.is_sound(),
            "a subscription names no domain, one twice, or one that is not in events::DOMAINS",
        );

        impl $crate::Subscription for $name {
            const SELECTION: $crate::Selection =
                $crate::subscription!(@selection $kind $(($domains))? $evidence);

            fn decode(envelope: &$crate::Envelope) -> ::std::result::Result<Self, $crate::DecodeError> {
                <Self as $crate::Subscription>::SELECTION
                    .admit(envelope)
                    .map(|()| Self)
            }
        }
    };
    (@selection Domains($domains:expr) $evidence:ident) => {
        $crate::Selection::Domains {
            domains: $domains,
            evidence: $crate::Evidence::$evidence,
        }
    };
    (@selection $kind:ident $evidence:ident) => {
        $crate::Selection::$kind($crate::Evidence::$evidence)
    };
}
