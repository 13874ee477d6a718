//! Mutations: each removes one safeguard, and a test checks that the model finds the violation.
//!
//! Every mutation is tried on a size that the complete protocol passes, so only the safeguard makes the difference.
//!
//! Two mutations break less than expected, which shows the value of the other safeguards. Deciding again before a lost
//! answer is resolved doubles no effect as long as the mark is in the transaction. It only makes a call refuse, or a
//! record park, what its own earlier commit then does. The same is true if a group's lost answer is taken for "not
//! written".

use std::collections::BTreeSet;

use stateright::{Checker, HasDiscoveries, Model};

use super::{
    in_order,
    model::{Bounds, CutOff, Protocol},
    properties as property, sizes,
};

/// A removed safeguard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mutation {
    /// Transactions carry no mark.
    NoMark,
    /// The mark is written after the transaction.
    MarkApart,
    /// The event is written after the transaction.
    EventsApart,
    /// A lost answer leads to another decision at once.
    DecidesBeforeSettling,
    /// A refusal is answered without reading the mark.
    RefusesWithoutRecheck,
    /// A failed entry counts as published.
    RelayTakesFailedForPublished,
    /// Later events of an aggregate are started while a failed earlier event waits.
    RelayRunsAhead,
    /// `published_at` is written before the bus is called.
    RecordsBeforePublishing,
    /// A message is deleted when it is received.
    AcknowledgesBeforeCommit,
    /// A failure counts without reading the mark.
    ParksWithoutRecheck,
    /// The projection's put has no condition.
    NoGuard,
    /// A group's lost answer lets its members decide again.
    GroupLostIsNotWritten,
    /// The same, and a group's marks are put without their conditions.
    GroupWithoutMarkConditions,
}

/// Checks that the model finds the expected property violated.
#[track_caller]
fn breaks(mutation: Option<Mutation>, bounds: Bounds, expected: &'static str) {
    let name = bounds.name;
    let protocol = Protocol { bounds, mutation };
    let checker = protocol
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AllOf(BTreeSet::from([expected])))
        .spawn_bfs()
        .join();
    assert!(
        checker.discovery(expected).is_some(),
        "{mutation:?} goes unnoticed in {} states of {name:?}: {expected}",
        checker.unique_state_count()
    );
}

/// The same for the in-order consumer.
#[track_caller]
fn breaks_in_order(mutation: in_order::Mutation, bounds: in_order::Bounds, expected: &'static str) {
    let name = bounds.name;
    let model = in_order::InOrder {
        bounds,
        mutation: Some(mutation),
    };
    let checker = model
        .checker()
        .threads(2)
        .finish_when(HasDiscoveries::AllOf(BTreeSet::from([expected])))
        .spawn_bfs()
        .join();
    assert!(
        checker.discovery(expected).is_some(),
        "{mutation:?} goes unnoticed in {} states of {name:?}: {expected}",
        checker.unique_state_count()
    );
}

#[test]
fn in_order_what_waited_is_forgotten_without_a_reading_after_the_block_went() {
    use in_order::Mutation::{AcknowledgesOwnHandled, AcknowledgesPassedBlock, NoFinalReading};
    breaks_in_order(NoFinalReading, in_order::PARKED, in_order::ENDS);
    breaks_in_order(AcknowledgesOwnHandled, in_order::PARKED, in_order::ENDS);
    breaks_in_order(
        AcknowledgesPassedBlock,
        in_order::PARKED_UNHEARD,
        in_order::ENDS,
    );
}

#[test]
fn in_order_a_block_without_a_letter_holds_its_aggregate_for_ever() {
    use in_order::Mutation::{AcknowledgesBeforeLetter, BlocksBeforeLetter};
    breaks_in_order(BlocksBeforeLetter, in_order::PARKED, in_order::ENDS);
    breaks_in_order(AcknowledgesBeforeLetter, in_order::PARKED, in_order::ENDS);
}

#[test]
fn in_order_an_advance_without_its_condition_doubles_an_effect() {
    let mutation = in_order::Mutation::NoCondition;
    breaks_in_order(mutation, in_order::WAKE_UPS, in_order::ONCE_AND_IN_ORDER);
    breaks_in_order(mutation, in_order::PARKED, in_order::ONCE_AND_IN_ORDER);
}

#[test]
fn in_order_a_gap_that_is_believed_loses_an_event() {
    let mutation = in_order::Mutation::BelievesGaps;
    breaks_in_order(mutation, in_order::WAKE_UPS, in_order::ONCE_AND_IN_ORDER);
}

#[test]
fn without_marks_effects_and_commands_are_doubled() {
    breaks(Some(Mutation::NoMark), sizes::COPIES, property::NOT_DOUBLED);
    breaks(
        Some(Mutation::NoMark),
        sizes::IMPATIENT,
        property::NOT_DOUBLED,
    );
}

#[test]
fn a_mark_outside_the_transaction_doubles_an_effect() {
    breaks(
        Some(Mutation::MarkApart),
        sizes::COPIES,
        property::NOT_DOUBLED,
    );
}

#[test]
fn an_event_outside_the_transaction_may_never_be_written() {
    breaks(
        Some(Mutation::EventsApart),
        sizes::IMPATIENT,
        property::STATE_AND_EVENT,
    );
}

#[test]
fn a_relay_that_acknowledges_a_failed_entry_loses_the_event() {
    let mutation = Some(Mutation::RelayTakesFailedForPublished);
    breaks(mutation, sizes::RELAY, property::PUBLISHED);
    breaks(mutation, sizes::LONG_RELAY, property::ENDS);
    breaks(mutation, sizes::PATH, property::ENDS);
}

#[test]
fn deciding_again_before_a_lost_answer_is_settled_gives_up_what_is_then_done() {
    let mutation = Some(Mutation::DecidesBeforeSettling);
    breaks(mutation, sizes::IMPATIENT, property::NOT_OVERTAKEN);
    breaks(mutation, sizes::COPIES, property::NOT_OVERTAKEN);
}

#[test]
fn a_refusal_without_a_look_at_the_mark_contradicts_the_first_answer() {
    breaks(
        Some(Mutation::RefusesWithoutRecheck),
        sizes::COMMANDS,
        property::FIRST_ANSWER,
    );
}

#[test]
fn acknowledging_before_the_commit_loses_the_event() {
    breaks(
        Some(Mutation::AcknowledgesBeforeCommit),
        sizes::COPIES,
        property::ENDS,
    );
    breaks(
        Some(Mutation::AcknowledgesBeforeCommit),
        sizes::GUARD,
        property::ENDS,
    );
}

#[test]
fn parking_without_a_look_at_the_mark_parks_what_is_done() {
    breaks(
        Some(Mutation::ParksWithoutRecheck),
        sizes::COPIES,
        property::NOT_PARKED_DONE,
    );
}

#[test]
fn without_its_guard_a_projection_goes_back() {
    breaks(Some(Mutation::NoGuard), sizes::GUARD, property::NEVER_BACK);
}

#[test]
fn a_lost_group_answer_taken_for_not_written_gives_up_what_is_then_done() {
    breaks(
        Some(Mutation::GroupLostIsNotWritten),
        sizes::GROUPS,
        property::NOT_OVERTAKEN,
    );
}

#[test]
fn a_group_without_conditions_on_its_marks_doubles_effects() {
    breaks(
        Some(Mutation::GroupWithoutMarkConditions),
        sizes::GROUPS,
        property::NOT_DOUBLED,
    );
}

#[test]
fn a_relay_that_runs_ahead_of_a_failed_event_breaks_its_order() {
    breaks(
        Some(Mutation::RelayRunsAhead),
        sizes::LONG_RELAY,
        property::RELAY_ORDER,
    );
}

#[test]
fn recording_before_publishing_calls_published_what_the_bus_never_took() {
    breaks(
        Some(Mutation::RecordsBeforePublishing),
        sizes::RELAY,
        property::PUBLISHED,
    );
}

/// The time limit cuts off a commit that is under way. If the record were parked after its last attempt, because its
/// mark does not exist *yet*, the event would have a dead letter and be done. Nothing would be lost or doubled, because
/// a redriven dead letter finds the mark.
#[test]
fn a_cut_off_record_that_fails_like_any_other_may_be_parked_and_done() {
    let bounds = Bounds {
        cut_off: CutOff::FailsLikeAnyOther,
        ..sizes::CUT_OFF
    };
    breaks(None, bounds, property::CUT_OFF_NOT_OVERTAKEN);
}
