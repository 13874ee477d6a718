//! Failures of handlers, classified by what can be done about them.

use std::{any::Any, error::Error as StdError, fmt, time::Duration};

use domain::Stopped;
use outbox::{FaultKind, chain};

use crate::ParkReason;

/// What can be done about a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Retry on the schedule; park the message when the schedule is used up.
    Retry,
    /// A dependency throttles, times out or answers with 5xx, or other writers kept changing the same state: retry,
    /// repeating the last delay, until the message is too old. Such a failure does not count.
    Unavailable,
    /// No retry can help: park the message at once.
    Park(ParkReason),
}

/// Why a record was not handled. Any error becomes a retry by default. Unavailable dependencies are recognised. A
/// handler parks explicitly ([`Failure::park`]).
pub struct Failure {
    class: Class,
    source: Box<dyn StdError + Send + Sync>,
    /// Whether the mark is written nevertheless: only the work after the commit is still to be done.
    committed: bool,
}

impl Failure {
    /// A failure that a retry cannot fix, such as a rule that the event can never satisfy.
    pub fn park(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            class: Class::Park(ParkReason::Rejected),
            source: source.into(),
            committed: false,
        }
    }

    /// The failure of a domain's operation. What the rules refuse of an event, no retry can fix: such an event is parked.
    pub fn of_operation<R: fmt::Display>(stopped: Stopped<R>) -> Self {
        match stopped {
            Stopped::Refused(refusal) => Self::park(refusal.to_string()),
            Stopped::Failed(error) => error.into(),
        }
    }

    /// A failure that a retry can fix.
    pub fn retry(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            class: Class::Retry,
            source: source.into(),
            committed: false,
        }
    }

    /// A failure because a dependency is unavailable.
    pub fn unavailable(source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        Self {
            class: Class::Unavailable,
            source: source.into(),
            committed: false,
        }
    }

    pub(crate) fn parked_as(
        reason: ParkReason,
        source: impl Into<Box<dyn StdError + Send + Sync>>,
    ) -> Self {
        Self {
            class: Class::Park(reason),
            source: source.into(),
            committed: false,
        }
    }

    /// Other writers kept changing the same state. The event is healthy and nothing of it was written, so it waits like
    /// for a dependency, and its failures do not count.
    pub(crate) fn contention() -> Self {
        Self::unavailable("other writers kept changing the same state")
    }

    pub(crate) fn too_slow(limit: Duration) -> Self {
        Self::retry(format!(
            "handling took longer than {} ms",
            limit.as_millis()
        ))
    }

    /// The handling was interrupted after its commit. The next attempt finds the mark and does the work after the
    /// commit.
    pub(crate) fn too_late() -> Self {
        Self {
            committed: true,
            ..Self::retry("handling was interrupted after its commit")
        }
    }

    /// The same failure if the mark could not be read, so that it is unknown whether the event was handled before.
    /// Parking at once would be a guess. If the store is unavailable the message waits for it; otherwise it is retried
    /// on the schedule.
    pub(crate) fn with_unread_mark(mut self, unavailable: bool) -> Self {
        if unavailable {
            self.class = Class::Unavailable;
        } else if matches!(self.class, Class::Park(_)) {
            self.class = Class::Retry;
        }
        self
    }

    /// The same failure if the handling was interrupted while its commit was under way. The commit can still take
    /// effect, so parking would be a guess.
    pub(crate) fn undecided(self) -> Self {
        Self {
            class: Class::Unavailable,
            source: format!("{}, its commit under way", self.chain()).into(),
            committed: false,
        }
    }

    pub(crate) fn is_committed(&self) -> bool {
        self.committed
    }

    /// What can be done about the failure.
    #[must_use]
    pub fn class(&self) -> Class {
        self.class
    }

    /// The error and its sources in one line.
    #[must_use]
    pub fn chain(&self) -> String {
        chain(&*self.source)
    }
}

impl fmt::Debug for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.class, self.chain())
    }
}

// `Failure` does not implement `Error`, so that every error can be converted into it with `?`.
impl<E: StdError + Send + Sync + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let any: &dyn Any = &error;
        let unavailable = match (
            any.downcast_ref::<outbox::Error>(),
            any.downcast_ref::<outbox::Fault>(),
        ) {
            (Some(error), _) => error.is_unavailable(),
            (_, Some(fault)) => fault.kind == FaultKind::Unavailable,
            (None, None) => false,
        };
        Self {
            class: if unavailable {
                Class::Unavailable
            } else {
                Class::Retry
            },
            source: Box::new(error),
            committed: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use outbox::Fault;

    use super::*;

    fn through_question_mark(kind: FaultKind) -> Result<(), Failure> {
        Err(outbox::Error::from(Fault::new(
            kind,
            "dynamodb GetItem",
            "why",
        )))?;
        Ok(())
    }

    #[test]
    fn any_error_is_a_retry_unless_a_dependency_is_unavailable() {
        let class = |kind| through_question_mark(kind).expect_err("fails").class();
        assert_eq!(class(FaultKind::Unavailable), Class::Unavailable);
        assert_eq!(class(FaultKind::Denied), Class::Retry);
        assert_eq!(class(FaultKind::Rejected), Class::Retry);
        assert_eq!(
            Failure::from(std::io::Error::other("disk")).class(),
            Class::Retry
        );
        let fault = Fault::new(FaultKind::Unavailable, "ses SendEmail", "throttled");
        assert_eq!(Failure::from(fault).class(), Class::Unavailable);
    }

    #[test]
    fn what_the_rules_refuse_is_parked_and_what_failed_is_as_any_error() {
        let refused = Failure::of_operation(Stopped::Refused("the loan is gone"));
        assert_eq!(refused.class(), Class::Park(ParkReason::Rejected));
        assert_eq!(refused.chain(), "the loan is gone");
        let fault = Fault::new(FaultKind::Unavailable, "dynamodb GetItem", "throttled");
        let failed = Failure::of_operation::<&str>(Stopped::Failed(fault.into()));
        assert_eq!(failed.class(), Class::Unavailable);
    }

    #[test]
    fn the_chain_names_every_source() {
        let failure = through_question_mark(FaultKind::Denied).expect_err("fails");
        assert_eq!(failure.chain(), "dynamodb GetItem failed: why");
    }
}
