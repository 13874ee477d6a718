//! Which events a consumer listens to: single types, or a kind of events.
//!
//! A consumer by kind gets the envelope without a decoded payload, so a new contract of the kind reaches it without a
//! code change. Such a consumer may run before the deployment of a contract that is already published. Its code then
//! knows only the name of the type, and the event is handed to it if its domain belongs to the kind.

use crate::{ContractInfo, DOMAINS, DecodeError, Envelope, Evidence, Registry, Retention};

/// One event type that a consumer subscribes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subscribed {
    /// The event type: `domain.action`.
    pub event_type: &'static str,
    /// The version that the code is written for; older versions are upcast to it. In a selection by kind, the newest
    /// version.
    pub version: u16,
    /// How repeats of the event are harmless.
    pub evidence: Evidence,
}

/// The events that a consumer listens to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Selection {
    /// These types, each with its own evidence.
    Types(&'static [Subscribed]),
    /// Every type of these domains.
    Domains {
        /// Names from [`DOMAINS`], each once.
        domains: &'static [&'static str],
        /// How repeats are harmless.
        evidence: Evidence,
    },
    /// Every type whose contract is kept in the event log forever. A type without a shipped contract is included if
    /// another contract of its domain is.
    KeptForever(Evidence),
    /// Every event.
    Every(Evidence),
}

impl Selection {
    /// How repeats of an event of this type are harmless. `None` if the type is not selected.
    #[must_use]
    pub fn evidence(&self, event_type: &str) -> Option<Evidence> {
        match *self {
            Self::Types(types) => types
                .iter()
                .find(|one| one.event_type == event_type)
                .map(|one| one.evidence),
            Self::Domains { domains, evidence } => {
                domains.contains(&domain(event_type)).then_some(evidence)
            }
            Self::KeptForever(evidence) => is_kept(event_type).then_some(evidence),
            Self::Every(evidence) => Some(evidence),
        }
    }

    /// Whether events of this type are selected.
    #[must_use]
    pub fn takes(&self, event_type: &str) -> bool {
        self.evidence(event_type).is_some()
    }

    /// Whether the selection handles any event by this evidence.
    #[must_use]
    pub fn relies_on(&self, wanted: Evidence) -> bool {
        match *self {
            Self::Types(types) => types.iter().any(|one| one.evidence == wanted),
            Self::Domains { evidence, .. }
            | Self::KeptForever(evidence)
            | Self::Every(evidence) => evidence == wanted,
        }
    }

    /// The selected types, each once. A selection by kind gives the types of the shipped contracts, sorted by name.
    #[must_use]
    pub fn types(&self) -> Vec<Subscribed> {
        self.types_of(Registry::shipped_contracts())
    }

    /// Like [`Self::types`], but with your own contracts in place of the shipped ones. They must be sorted by type and
    /// version, as [`Registry::contracts`] returns them.
    #[must_use]
    pub fn types_of(&self, contracts: &[ContractInfo]) -> Vec<Subscribed> {
        if let Self::Types(types) = *self {
            return types.to_vec();
        }
        let of_a_type = contracts.chunk_by(|one, other| one.event_type == other.event_type);
        of_a_type
            .filter_map(|versions| versions.last())
            .filter_map(|newest| {
                Some(Subscribed {
                    event_type: newest.event_type,
                    version: newest.version,
                    evidence: self.evidence(newest.event_type)?,
                })
            })
            .collect()
    }

    /// Accepts every selected event, whatever its payload. A subscription by kind uses it to decode.
    ///
    /// # Errors
    /// [`DecodeError::UnknownType`] if the type is not selected.
    pub fn admit(&self, envelope: &Envelope) -> Result<(), DecodeError> {
        let event_type = envelope.event_type.as_str();
        if self.takes(event_type) {
            Ok(())
        } else {
            Err(DecodeError::UnknownType(event_type.to_owned()))
        }
    }

    /// Whether the selection is valid. It must not name a type twice, because the second would never be reached. Its
    /// domains must be in the closed list, each named once.
    #[doc(hidden)]
    #[must_use]
    pub const fn is_sound(&self) -> bool {
        match *self {
            Self::Types(types) => {
                let mut at = 0;
                while at < types.len() {
                    let mut other = at + 1;
                    while other < types.len() {
                        if same(types[at].event_type, types[other].event_type) {
                            return false;
                        }
                        other += 1;
                    }
                    at += 1;
                }
                true
            }
            Self::Domains { domains, .. } => {
                let mut at = 0;
                while at < domains.len() {
                    if times(domains, domains[at]) != 1 || times(DOMAINS, domains[at]) != 1 {
                        return false;
                    }
                    at += 1;
                }
                !domains.is_empty()
            }
            Self::KeptForever(_) | Self::Every(_) => true,
        }
    }
}

fn domain(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
}

fn is_kept(event_type: &str) -> bool {
    let is_kept = |one: &ContractInfo| one.retention == Retention::Forever;
    let mut known = Registry::shipped_contracts()
        .iter()
        .filter(|one| one.event_type == event_type);
    match known.next_back() {
        Some(newest) => is_kept(newest),
        None => Registry::shipped_contracts()
            .iter()
            .any(|one| is_kept(one) && domain(one.event_type) == domain(event_type)),
    }
}

const fn times(words: &[&str], word: &str) -> usize {
    let (mut at, mut found) = (0, 0);
    while at < words.len() {
        if same(words[at], word) {
            found += 1;
        }
        at += 1;
    }
    found
}

const fn same(one: &str, other: &str) -> bool {
    let (one, other) = (one.as_bytes(), other.as_bytes());
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
