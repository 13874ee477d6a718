//! Converts refusals into problems.

use api::{CommandError, Problem};
use domain::Illegal;
use events::{OperationId, Violation, Violations};
use http::StatusCode;
use letters::{Refusal, edit::EditRefusal, operations::Stopped};

/// The 404 problem for an unknown operation.
pub(super) fn unknown_operation(id: OperationId) -> Problem {
    Problem::not_found(format!("there is no operation {id}")).with("operation_id", id.to_string())
}

/// The problem of a refused edit: its letter is in the path, and its violations are in the message.
///
/// # Errors
/// As [`refused`].
pub(super) fn refused_edit(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(match refusal {
        Refusal::UnknownLetter { letter_id, .. } => {
            Problem::not_found(refusal.to_string()).with("letter_id", letter_id.as_str())
        }
        Refusal::Resolved {
            letter_id, state, ..
        } => Problem::conflict("letter-resolved", "The letter is handled or discarded")
            .detail(refusal.to_string())
            .with("letter_id", letter_id.as_str())
            .with("letter_state", state.as_str()),
        Refusal::Edit(EditRefusal::Invalid(found)) => Problem::invalid(
            found
                .iter()
                .map(|one| {
                    let pointer = format!("/message{}", one.pointer);
                    Violation::new(pointer, one.message.clone())
                })
                .collect::<Violations>(),
        ),
        other => refused(other)?,
    })
}

/// The problem of a read that was refused or failed.
pub(super) fn stopped(stopped: Stopped) -> Problem {
    match stopped {
        Stopped::Failed(error) => error.into(),
        Stopped::Refused(refusal) => {
            refused(&refusal).unwrap_or_else(|_| Problem::internal(&refusal))
        }
    }
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
///
/// # Errors
/// [`CommandError`] if a value cannot be serialised.
pub(super) fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    let words = refusal.to_string();
    let unprocessable =
        |name, title| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, name, title).detail(&words);
    let conflict = |name, title| Problem::conflict(name, title).detail(&words);
    Ok(match refusal {
        Refusal::UnknownOperation { operation_id } => unknown_operation(*operation_id),
        Refusal::UnknownLetter { at, letter_id } => {
            unprocessable("unknown-letter", "A letter does not exist")
                .violation(format!("/letters/{at}"), "is no letter")
                .with("letter_id", letter_id.as_str())
        }
        Refusal::Resolved {
            at,
            letter_id,
            state,
        } => conflict("letter-resolved", "A letter is handled or discarded")
            .violation(format!("/letters/{at}"), words.as_str())
            .with("letter_id", letter_id.as_str())
            .with("letter_state", state.as_str()),
        Refusal::NoLetter => unprocessable("no-letter", "No unresolved letter fits"),
        Refusal::TooMany => unprocessable(
            "too-many-letters",
            "More letters fit than an operation can have",
        ),
        Refusal::OverCap { count, cap } => {
            unprocessable("over-cap", "More letters fit than the cap allows")
                .violation("/cap", words.as_str())
                .with("count", *count)
                .with("cap", *cap)
        }
        Refusal::LetterInOperation {
            letter_id,
            operation_id,
        } => conflict(
            "letter-in-operation",
            "A letter is in another operation that is not finished",
        )
        .with("letter_id", letter_id.as_str())
        .with("operation_id", operation_id.to_string()),
        Refusal::TooManyOperations => {
            conflict("too-many-operations", "Too many operations are unfinished")
        }
        Refusal::Logged { event_id } => conflict(
            "letter-logged",
            "What stands in the event log is never edited",
        )
        .with("event_id", event_id.as_str()),
        Refusal::NoBody { letter_id } => {
            conflict("no-body", "There is no message to edit").with("letter_id", letter_id.as_str())
        }
        Refusal::HasLetter { letter_id } => {
            conflict("has-letter", "The edited event has a letter already")
                .with("letter_id", letter_id.as_str())
        }
        Refusal::Edit(edit) => Problem::invalid(Violation::new("/message", edit.to_string())),
        Refusal::NoEvent { consumer } => {
            unprocessable("no-event", "The consumer listens to no event that fits")
                .with("consumer", consumer.as_str())
        }
        Refusal::TooOld {
            consumer,
            possible_from,
        }
        | Refusal::TooLate {
            consumer,
            possible_from,
            ..
        } => unprocessable("too-old", "The events are too old for this consumer")
            .with("consumer", consumer.as_str())
            .with("possible_from", possible_from.to_string()),
        Refusal::ReplayedBefore {
            consumer,
            operation_id,
        } => conflict(
            "replayed-before",
            "What was before the consumer began is replayed once",
        )
        .with("consumer", consumer.as_str())
        .with("operation_id", operation_id.to_string()),
        Refusal::Republishing { operation_id } => conflict(
            "republishing",
            "The pending events are being published already",
        )
        .with("operation_id", operation_id.to_string()),
        Refusal::NoLane { consumer } => {
            unprocessable("no-lane", "The consumer has no lane").with("consumer", consumer.as_str())
        }
        Refusal::Illegal(illegal) => {
            not_allowed(illegal, "The operation's status does not allow this step")
        }
    })
}

/// The 409 problem for a step that a status does not allow.
pub(super) fn not_allowed(illegal: &Illegal, title: &'static str) -> Problem {
    Problem::conflict("illegal-transition", title)
        .detail(illegal.to_string())
        .with("from", illegal.from.as_str())
        .with("to", illegal.to.as_str())
        .with("allowed", illegal.allowed.clone())
}
