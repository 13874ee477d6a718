//! Operations load, decide and save. They are the layer between a domain's rules and its callers.

use events::{IdError, TextError};
use outbox::{BuildError, Error};

/// Why an operation put nothing into its transaction. Each domain names its own type: `type Stopped =
/// domain::Stopped<Refusal>`, with `From<Refusal>`.
#[derive(Debug, thiserror::Error)]
pub enum Stopped<R> {
    /// The rules forbid the operation.
    #[error(transparent)]
    Refused(R),
    /// A read failed, or the transaction could not be built.
    #[error(transparent)]
    Failed(Error),
}

impl<R> From<Error> for Stopped<R> {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl<R> From<BuildError> for Stopped<R> {
    fn from(error: BuildError) -> Self {
        Self::Failed(error.into())
    }
}

impl<R> From<IdError> for Stopped<R> {
    fn from(error: IdError) -> Self {
        Self::Failed(error.into())
    }
}

impl<R> From<TextError> for Stopped<R> {
    fn from(error: TextError) -> Self {
        Self::Failed(error.into())
    }
}
