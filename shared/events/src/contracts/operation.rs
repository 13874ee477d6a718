//! Operations: what an operator does to many dead letters at once.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{OperationId, Retention, Sequence, Text, Timestamp};

contracts! {
    kept Retention::Forever;
    Begun: "operation.begun", Normal, "operator-api", "operation" [operation_id];
    Changed: "operation.changed", Normal, "operator-api", "operation" [operation_id];
    Finished: "operation.finished", Normal, "operator-worker", "operation" [operation_id];
}

/// What an operation does to each of its dead letters.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OperationAct {
    /// Sends it to its consumer again.
    Redrive,
    /// Closes it unhandled.
    Discard,
    /// Puts another message in its place. It is about one dead letter, and finished as soon as it is begun.
    Edit,
}

impl OperationAct {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Edit => "edit",
        }
    }
}

impl fmt::Display for OperationAct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of an operation.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OperationStatus {
    /// It takes its dead letters one after the other.
    Running,
    /// It takes no further dead letter until it is resumed.
    Paused,
    /// It takes no further dead letter. It finishes once the ones that it took are decided.
    Cancelled,
    /// Each of its dead letters is decided, or was left alone.
    Finished,
}

impl OperationStatus {
    /// Every one of them.
    pub const ALL: [Self; 4] = [Self::Running, Self::Paused, Self::Cancelled, Self::Finished];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Cancelled => "cancelled",
            Self::Finished => "finished",
        }
    }
}

impl fmt::Display for OperationStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What can be done to an operation that is under way.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OperationChange {
    /// It takes no further dead letter until it is resumed.
    Paused,
    /// It goes on.
    Resumed,
    /// It takes no further dead letter.
    Cancelled,
}

impl OperationChange {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The status after it.
    #[must_use]
    pub const fn status(self) -> OperationStatus {
        match self {
            Self::Paused => OperationStatus::Paused,
            Self::Resumed => OperationStatus::Running,
            Self::Cancelled => OperationStatus::Cancelled,
        }
    }
}

/// Which dead letters were chosen: those that fit every criterion given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct LetterCriteria {
    /// The consumer that could not handle the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consumer: Option<Text<256>>,
    /// The event's type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<Text<256>>,
    /// Why it became a dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<256>>,
    /// The id of the group of dead letters with one consumer, reason and error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub signature: Option<Text<256>>,
    /// The type of the aggregate that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_type: Option<Text<256>>,
    /// The id of the aggregate that the event is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<Text<256>>,
    /// The event's tenant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tenant: Option<Text<256>>,
    /// The state of the dead letter.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub state: Option<Text<256>>,
    /// Parked at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Parked before this time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<Timestamp>,
    /// A text in the error, an id or the type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub q: Option<Text<256>>,
}

/// How the dead letters of an operation ended.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct OperationOutcome {
    /// How many were sent to their consumers.
    pub redriven: u32,
    /// How many of those were handled.
    pub handled: u32,
    /// How many of those came back.
    pub failed_again: u32,
    /// How many were closed unhandled.
    pub discarded: u32,
    /// How many were left alone: resolved meanwhile, taken by another operation, expired, or no event.
    pub skipped: u32,
}

/// An operation was begun.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Begun {
    /// The operation.
    pub operation_id: OperationId,
    /// What it does to each of its dead letters.
    pub act: OperationAct,
    /// How its dead letters were chosen. Absent if they were named one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selection: Option<LetterCriteria>,
    /// How many dead letters it is about. Later ones that fit the selection are not.
    pub count: u32,
    /// The SHA-256 of their ids in the order in which they are taken, one a line, in hexadecimal digits.
    pub letters_sha256: Text<64>,
    /// The largest number of dead letters that was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
    /// How many dead letters it sends in a second at most.
    pub rate_per_second: u32,
    /// Whether the first dead letter must be handled before the others are sent.
    pub canary: bool,
    /// Why it was begun.
    pub reason: Text<500>,
    /// The user for whom it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key that began it.
    pub key_owner: Text<256>,
    /// What was edited, if it is an edit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub edited: Option<EditedLetter>,
    /// The operation's version after the change.
    pub version: Sequence,
}

/// A dead letter of which the message was edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EditedLetter {
    /// The dead letter.
    pub letter_id: Text<32>,
    /// The dead letter that the edited message goes on as: another one, if the edited event has another id.
    pub goes_on_as: Text<32>,
    /// What turns the message into the edited one (RFC 6902), in order.
    #[schemars(length(max = 1000))]
    pub patch: Vec<PatchStep>,
}

/// A step of a patch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct PatchStep {
    /// What the step does.
    pub op: PatchOp,
    /// Where: a JSON pointer. Absent for the whole message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<Text<2048>>,
    /// The value that is put there, as JSON. Absent if one is removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<Text<65536>>,
}

/// What a step of a patch does.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PatchOp {
    /// Puts a value where there was none.
    Add,
    /// Removes a value.
    Remove,
    /// Puts a value in the place of another.
    Replace,
}

/// An operation was paused, resumed or cancelled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The operation.
    pub operation_id: OperationId,
    /// What was done to it.
    pub to: OperationChange,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done. Absent if the operation paused itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_owner: Option<Text<256>>,
    /// The operation's version after the change.
    pub version: Sequence,
}

/// An operation was finished: each of its dead letters is decided, or was left alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Finished {
    /// The operation.
    pub operation_id: OperationId,
    /// How its dead letters ended.
    pub outcome: OperationOutcome,
    /// The operation's version after the change.
    pub version: Sequence,
}
