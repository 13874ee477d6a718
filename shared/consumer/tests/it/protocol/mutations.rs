//! What is broken on purpose, one safeguard each, and what the model says of it.

/// A safeguard taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mutation {
    NoMark,
    MarkApart,
    EventsApart,
    DecidesBeforeSettling,
    RefusesWithoutLooking,
    RelayTakesFailedForPublished,
    RelayRunsAhead,
    RecordsBeforePublishing,
    AcknowledgesBeforeCommit,
    ParksWithoutLooking,
    NoGuard,
    GroupLostIsNotWritten,
    GroupWithoutMarkConditions,
}
