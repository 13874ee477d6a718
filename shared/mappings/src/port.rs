//! The port to event source mappings.

use async_trait::async_trait;
use outbox::Fault;

/// Whether Lambda is to poll a queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Polling {
    /// It polls.
    Enabled,
    /// It does not: the queue keeps its messages.
    Disabled,
}

impl Polling {
    /// What is wanted for a consumer that is paused, or not.
    #[must_use]
    pub const fn paused(is_paused: bool) -> Self {
        if is_paused {
            Self::Disabled
        } else {
            Self::Enabled
        }
    }
}

/// The state of a mapping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MappingState {
    /// Lambda polls.
    Enabled,
    /// Lambda does not poll.
    Disabled,
    /// It will poll soon.
    Enabling,
    /// It will stop polling soon.
    Disabling,
    /// Lambda makes another change, after which it may poll or not.
    Updating,
}

/// An event source mapping.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// Its id.
    pub id: String,
    /// Its state.
    pub state: MappingState,
}

/// What becomes of a requested change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// It will be made.
    Accepted,
    /// The mapping is in another change: nothing was done.
    Busy,
}

/// The port to the event source mappings of functions.
#[async_trait]
pub trait Mappings: Send + Sync {
    /// The mappings of a function, by the function's name; none if there is no such function. One that is being deleted is
    /// left out.
    ///
    /// # Errors
    /// [`Fault`] when they cannot be read.
    async fn of(&self, function: &str) -> Result<Vec<Mapping>, Fault>;

    /// Asks for a change of a mapping, by its id. It MUST be harmless if the mapping is as wanted already.
    ///
    /// # Errors
    /// [`Fault`] when it may not have been accepted.
    async fn set(&self, id: &str, wanted: Polling) -> Result<Answer, Fault>;
}
