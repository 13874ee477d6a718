//! Dead letters as rows: what a consumer could not handle, kept and searched, and the operations over many of them. And
//! what else an operator does: pause and resume consumers, send them logged events again, and publish what is still pending.
//!
//! Decisions are pure: a letter, what happened and a time go in; the letter after it, or a refusal, comes out.
//!
//! * [`drained`]: what a message of the dead-letter queue says.
//! * [`edit`]: another message in the place of one that never was an event.
//! * [`letter`]: a letter's row and its states.
//! * [`signature`]: what errors of one cause have in common.
//! * [`listing`]: lists and groups of letters.
//! * [`operation`]: what an operator does to many letters at once, told by events.
//! * [`operations`]: load, decide, save.
//! * [`pause`]: whether a consumer is paused, told by events.
//! * [`replay`]: logged events sent again, to one consumer.
//! * [`republish`]: events that are still pending, published.
//!
//! Items, all in the table `Letters`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `letter#{letter id}` | `letter` | [`letter::Letter`] | `dead-letters`, `operator-worker` |
//! | `letter#{letter id}` | `body` | [`drained::Body`] | `dead-letters`, `operator-api` |
//! | `letter#{letter id}` | `original` | [`drained::Body`] that it had before its first edit | `operator-api` |
//! | `group` | `{signature id}` | [`listing::Note`] | `operator-api` |
//! | `operation#{operation id}` | `state` | [`operation::Operation`] | `operator-api`, `operator-worker` |
//! | the same | `page#{number}` | [`operation::SelectionPage`] | `operator-api` |
//! | the same | `progress` | [`operation::Progress`] | `operator-api`, `operator-worker` |
//! | `unfinished` | `{operation id}` | [`operation::Unfinished`] | `operator-api`, `operator-worker` |
//! | the same | `wish#{consumer}` | [`pause::Wish`] | `operator-api`, `operator-worker` |
//! | `consumer#{consumer}` | `state` | [`pause::ConsumerState`] | `operator-api` |
//! | the same | `before` | [`replay::Before`] | `operator-api` |
//!
//! The partition `unfinished` is all that `operator-worker` has to do besides unresolved letters: one read says whether there
//! is anything.

pub mod drained;
pub mod edit;
pub mod letter;
pub mod listing;
pub mod operation;
pub mod operations;
pub mod pause;
pub mod replay;
pub mod republish;
pub mod signature;

pub use drained::{Body, Drained, QueueMessage};
pub use letter::{Letter, LetterId, LetterRefusal, LetterState};
pub use listing::{Letters, unresolved};
pub use operation::Operation;
pub use operations::{Operations, Refusal};
pub use pause::{ConsumerState, ConsumerStatus, Consumers};
pub use replay::Replays;
pub use signature::Signature;

/// The domain's aggregates, one per line.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "letters",
    table_setting: "LETTERS_TABLE",
    aggregates: &[
        &domain::Of::<Operation>::NEW,
        &domain::Of::<ConsumerState>::NEW,
    ],
};
