//! What can go wrong between us and a dependency, by what may be done about it.

use std::error::Error as StdError;

use crate::{BuildError, MarkError};

/// What a dependency's failure allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Throttled, timed out, 5xx, not reachable: trying later can help, nothing is wrong with the request.
    Unavailable,
    /// Not permitted. A role that is being changed looks like this too, so it is worth repeating.
    Denied,
    /// The dependency refuses the request as such.
    Rejected,
    /// What came back cannot be read.
    Unreadable,
}

/// A dependency's failure.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct Fault {
    /// What may be done about it.
    pub kind: FaultKind,
    /// The call, e.g. `dynamodb GetItem`.
    pub operation: &'static str,
    /// Why.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

impl Fault {
    /// A failure of a call.
    pub fn new(
        kind: FaultKind,
        operation: &'static str,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            kind,
            operation,
            source: source.into(),
        }
    }
}

/// Why nothing was decided.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A dependency failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The commit's answer was lost and could not be settled in time: it may or may not have taken effect. The same
    /// mark makes every repeat safe.
    #[error("the commit's outcome is unknown")]
    Unknown(#[source] Fault),
    /// The transaction breaks a rule of its own.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The mark breaks a rule of its own.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The store refused the transaction for a reason that no repeat changes.
    #[error("the transaction was refused: {0}")]
    Refused(String),
    /// A stored item is not what the code expects.
    #[error("stored item {key} cannot be read")]
    Item {
        /// Which one.
        key: String,
        /// Why.
        #[source]
        source: serde_json::Error,
    },
}

impl Error {
    /// Whether the same thing can succeed later without anybody changing anything.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.kind == FaultKind::Unavailable,
            Self::Unknown(_) => true,
            Self::Build(_) | Self::Mark(_) | Self::Refused(_) | Self::Item { .. } => false,
        }
    }
}
