//! What a consumer listens to, and how it decodes the events.

use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Value, value::RawValue};

use crate::{
    Contract, Envelope, EventVersion, Selection, Violation, Violations, schema::validator_of,
    strict,
};

/// Why an event could not be decoded: the three reasons for which a consumer parks it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The consumer does not subscribe to this type.
    #[error("unknown event type {0}")]
    UnknownType(String),
    /// The version is newer than the code, or was never released.
    #[error("unknown version {version} of {event_type}")]
    UnknownVersion {
        /// The type.
        event_type: String,
        /// The version of the event.
        version: EventVersion,
    },
    /// The payload breaks its contract: every violation, with its pointer.
    #[error("invalid: {0}")]
    Invalid(Violations),
}

/// How a consumer makes repeats of an event harmless. It is also the evidence that the event was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// A mark, written in the same transaction as the effect.
    Mark,
    /// A version guard on the projection's row: one conditional write, without a mark.
    Guard,
    /// A cursor per aggregate, advanced in the same transaction as the effect. The consumer reads the aggregate's
    /// events in order from the event log.
    Cursor,
}

/// The events that a consumer listens to. [`crate::subscription!`] implements it.
pub trait Subscription: Sized + Send + Sync {
    /// The selected events.
    const SELECTION: Selection;

    /// Decodes the payload by the event's type. A selection by kind returns the envelope without decoding its payload.
    ///
    /// # Errors
    /// [`DecodeError`]. It is [`DecodeError::UnknownType`] if and only if the type is not selected.
    fn decode(envelope: &Envelope) -> Result<Self, DecodeError>;

    /// How repeats of an event of this type are harmless. `None` if the type is not selected.
    #[must_use]
    fn evidence(event_type: &str) -> Option<Evidence> {
        Self::SELECTION.evidence(event_type)
    }
}

/// Decodes a payload as a contract's type and upcasts older versions. The schema runs only if decoding fails, to find
/// every violation.
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

/// Decodes a payload as exactly this type. Upcasters use it to read an older version.
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
        _ => Violations::default(),
    };
    if violations.is_empty() {
        // Reached only by faults that a JSON value cannot show, such as a field given twice.
        violations.push(Violation::new("/payload", strict::reason(error)));
    }
    DecodeError::Invalid(violations)
}

/// Declares what a consumer listens to: an enum with one variant per contract, or a kind of events.
///
/// Single types are decoded. Each names the evidence that makes its repeats harmless:
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
/// Name each type once, at the version the code is written for; older versions are upcast to it. Naming a type twice
/// does not compile, because the second variant would never be reached:
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
/// A subscription by kind hands the handler the envelope only: of `Every` event, of those `KeptForever`, or of whole
/// `Domains` ([`Selection`](crate::Selection)). A new contract of the kind reaches the consumer without a change to its
/// code.
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
            "a subscription names an event type twice: name it once, at the version the code is written for",
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
            "a subscription names no domain, a domain twice, or a domain that is not in events::DOMAINS",
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
