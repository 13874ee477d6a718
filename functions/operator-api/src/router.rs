//! The endpoints.

use std::sync::Arc;

use api::{Doc, Routes};
use serde_json::Value;

use crate::handler::{App, consumers, jobs, note, operations, reads, replays, republish};

const NO_LETTER: &str = "The letter does not exist.";
const NO_OPERATION: &str = "The operation does not exist.";
const NO_CONSUMER: &str = "No such consumer is deployed; the nearest one is named (`nearest`).";
const HAS_STATUS: &str =
    "The consumer has this status already (`illegal-transition`: `from`, `to`, `allowed`).";
const UNKNOWN: &str = "The consumer or the state is unknown; the nearest known one is named.";
const WRONG_STATUS: &str = "The operation's status does not allow this step (`illegal-transition`: `from`, `to`, `allowed`).";

/// Every endpoint of the function.
#[must_use]
pub fn routes() -> Routes<Arc<App>> {
    let step = |summary| {
        Doc::new(summary)
            .problem(404, NO_OPERATION)
            .problem(409, WRONG_STATUS)
    };
    let pausing = |summary| {
        Doc::new(summary)
            .problem(404, NO_CONSUMER)
            .problem(409, HAS_STATUS)
    };
    Routes::new("operator-api")
        .get(
            "/api/v1/consumers",
            consumers::list,
            Doc::new("List consumers").describe("Each with its lanes, and since when it is paused, by whom and why."),
        )
        .post(
            "/api/v1/consumers/{name}/pause",
            consumers::pause,
            pausing("Pause a consumer").describe(
                "It takes no further events; its lanes keep them for 14 days from their arrival. What it has received is handled to the end. A \
                 deployment does not resume it.",
            ),
        )
        .post(
            "/api/v1/consumers/{name}/resume",
            consumers::resume,
            pausing("Resume a consumer").describe("It goes on with the events that waited in its lanes."),
        )
        .get(
            "/api/v1/jobs",
            jobs::list,
            Doc::new("List scheduled jobs").describe("What each is at, and how its last 10 runs ended. The records of runs are kept for 30 days."),
        )
        .get(
            "/api/v1/letters",
            reads::letters,
            Doc::new("List dead letters")
                .describe(
                    "Last parked first; the unresolved ones unless `state` says otherwise. A page looks at 2,000 rows at most, so it may have \
                     fewer items than requested, or none: continue with `next_cursor` until it is null.",
                )
                .problem(422, UNKNOWN),
        )
        .get(
            "/api/v1/letters/groups",
            reads::groups,
            Doc::new("Group dead letters by their cause")
                .describe(
                    "A group has one consumer, one reason and one signature: the error without ids, numbers and texts. The largest first.",
                )
                .problem(422, UNKNOWN),
        )
        .post(
            "/api/v1/letters/groups/{signature_id}/note",
            note,
            Doc::new("Write a note about a group").describe("It replaces the note before."),
        )
        .get(
            "/api/v1/letters/operations",
            reads::operations,
            Doc::new("List operations").describe("Newest first."),
        )
        .post(
            "/api/v1/letters/operations",
            operations::begin,
            Doc::new("Begin an operation over dead letters")
                .describe(
                    "Redrives or discards the letters that are named, or those that fit a filter now. The selection is frozen. With `preview`, \
                     nothing is begun, and the answer (200) tells what would be.",
                )
                .problem(
                    409,
                    "A letter is resolved (`letter-resolved`) or in another unfinished operation (`letter-in-operation`: `letter_id`, \
                     `operation_id`), or too many operations are unfinished (`too-many-operations`).",
                )
                .problem(
                    422,
                    "A letter, the consumer or the state is unknown, or no letter (`no-letter`), too many letters (`too-many-letters`) or \
                     more than the cap (`over-cap`) fit.",
                ),
        )
        .get(
            "/api/v1/letters/operations/{operation_id}",
            reads::operation,
            Doc::new("Read an operation and how far it has got").problem(404, NO_OPERATION),
        )
        .post(
            "/api/v1/letters/operations/{operation_id}/pause",
            operations::pause,
            step("Pause an operation").describe("What it has sent is not called back."),
        )
        .post(
            "/api/v1/letters/operations/{operation_id}/resume",
            operations::resume,
            step("Resume an operation"),
        )
        .post(
            "/api/v1/letters/operations/{operation_id}/cancel",
            operations::cancel,
            step("Cancel an operation").describe("It gives back all of its letters. What it has sent can still be handled."),
        )
        .post(
            "/api/v1/letters/operations/republish",
            republish::begin,
            Doc::new("Begin a republication: publish the events of the event log that are still pending")
                .describe(
                    "Two kinds of event are pending: those that the stream could not bring to the bus within 24 hours, and those that the bus \
                     refused for good. It reads the whole event log. It is an operation: the list shows it, and it is paused, resumed and \
                     cancelled as such. With `preview`, nothing is begun, and the answer (200) tells what would be read.",
                )
                .problem(
                    409,
                    "Pending events are being published already (`republishing`: `operation_id`), or too many operations are unfinished \
                     (`too-many-operations`).",
                ),
        )
        .post(
            "/api/v1/letters/{letter_id}/edit",
            operations::edit,
            Doc::new("Edit a dead letter that never was an event")
                .describe(
                    "Puts another message in the place of one that is malformed or came from outside. What stands in the event log is never \
                     edited. The message before is kept, and the difference is recorded. `letter_id` in the answer is the letter that the \
                     edited message goes on as: redrive it by an operation.",
                )
                .problem(404, NO_LETTER)
                .problem(
                    409,
                    "The letter is resolved (`letter-resolved`), in an unfinished operation (`letter-in-operation`), or an event of the log \
                     (`letter-logged`); its body is not there (`no-body`); the edited event has a letter (`has-letter`).",
                )
                .problem(
                    422,
                    "The message breaks its contract, its consumer does not listen to its type, or nothing is changed.",
                ),
        )
        .post(
            "/api/v1/replays",
            replays::begin,
            Doc::new("Begin a replay: send events of the event log to one consumer")
                .describe(
                    "To this consumer and to no other, byte for byte, marked with the operation's id. What the consumer has handled changes \
                     nothing. Choose by aggregate, event types and the time of the commit; or with `before_it_began` all that was before a \
                     consumer by mark began, which is possible once. A replay is an operation: `/api/v1/letters/operations` lists it, shows \
                     how far it has got, and pauses, resumes or cancels it. With `preview`, nothing is begun, and the answer (200) tells \
                     what would be.",
                )
                .problem(
                    409,
                    "What was before the consumer began is being replayed or was (`replayed-before`: `operation_id`), or too many operations \
                     are unfinished (`too-many-operations`).",
                )
                .problem(
                    422,
                    "The consumer or a type is unknown; the nearest is named. Or it listens to nothing that fits (`no-event`), or what fits is \
                     too old (`too-old`: `possible_from`).",
                ),
        )
        .get(
            "/api/v1/letters/{letter_id}",
            reads::letter,
            Doc::new("Read a dead letter, its body and what the consumers of its event did")
                .problem(404, NO_LETTER),
        )
}

/// The OpenAPI document of the function.
#[must_use]
pub fn openapi() -> Value {
    routes().openapi()
}
