//! The errors of this crate, classified by what can be done about them: a [`Fault`] is one failed call to a dependency,
//! an [`Error`] is a read or a commit that failed.

use std::error::Error as StdError;

use crate::{BuildError, MarkError};

/// What can be done about a dependency's failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FaultKind {
    /// Throttled, timed out, 5xx or unreachable: a later retry can help, and the request itself is valid.
    Unavailable,
    /// Not permitted. A role whose change is still propagating fails in the same way, so a retry is worthwhile.
    Denied,
    /// The dependency rejects the request itself.
    Rejected,
    /// The response cannot be read.
    Unreadable,
}

/// A failed call to a dependency.
#[derive(Debug, thiserror::Error)]
#[error("{operation} failed")]
pub struct Fault {
    /// What can be done about it.
    pub kind: FaultKind,
    /// The call, e.g. `dynamodb GetItem`.
    pub operation: &'static str,
    /// The cause.
    #[source]
    pub source: Box<dyn StdError + Send + Sync>,
}

impl Fault {
    /// A fault of the call `operation`.
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

/// Why a read or a commit failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A dependency failed.
    #[error(transparent)]
    Fault(#[from] Fault),
    /// The answer to the commit was lost, and the outbox could not find out in time whether the commit took effect. A
    /// retry with the same mark is safe in both cases.
    #[error("the commit's outcome is unknown")]
    Unknown(#[source] Fault),
    /// The transaction violates a rule for transactions.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The mark violates a rule for marks.
    #[error(transparent)]
    Mark(#[from] MarkError),
    /// The store refused the transaction for a reason that a retry cannot change.
    #[error("the transaction was refused: {0}")]
    Refused(String),
    /// A stored item does not have the shape that the code expects.
    #[error("stored item {key} cannot be read")]
    Item {
        /// The item's key.
        key: String,
        /// The cause.
        #[source]
        source: serde_json::Error,
    },
}

// These conversions let a decision use `?` on everything that it makes an event from. Such an error is an error in
// building the transaction.
impl From<events::IdError> for Error {
    fn from(error: events::IdError) -> Self {
        BuildError::from(error).into()
    }
}

impl From<events::DraftError> for Error {
    fn from(error: events::DraftError) -> Self {
        BuildError::from(error).into()
    }
}

impl From<events::TextError> for Error {
    fn from(error: events::TextError) -> Self {
        BuildError::from(events::DraftError::from(error)).into()
    }
}

impl Error {
    /// Whether a later retry of the same call can succeed although nobody changes anything.
    #[must_use]
    pub fn is_unavailable(&self) -> bool {
        match self {
            Self::Fault(fault) => fault.kind == FaultKind::Unavailable,
            Self::Unknown(_) => true,
            Self::Build(_) | Self::Mark(_) | Self::Refused(_) | Self::Item { .. } => false,
        }
    }
}
