//! Operations: what an operator does to many dead letters at once, replays of the event log to a consumer, and the publishing
//! of what is still pending in it.

use std::{fmt, str::FromStr};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConsumerName, OperationId, Retention, Sequence, Text, Timestamp};

contracts! {
    kept Retention::Forever;
    Begun: "operation.begun", Normal, "operator-api", "operation" [operation_id];
    Changed: "operation.changed", Normal, "operator-api", "operation" [operation_id];
    Finished: "operation.finished", Normal, "operator-worker", "operation" [operation_id];
}

/// What an operation does to each of its dead letters, or what it does with the event log.
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
    /// Sends events of the event log to one consumer again, and to no other. It is about no dead letter.
    Replay,
    /// Publishes the events of the event log that are still pending to the bus. It is about no dead letter.
    Republish,
}

impl OperationAct {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::Discard => "discard",
            Self::Edit => "edit",
            Self::Replay => "replay",
            Self::Republish => "republish",
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

/// Which events a replay sends: those that fit every criterion given. It is a filter and no list: what was committed
/// before `to` fits, whenever it is read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ReplaySelection {
    /// The consumer that gets them, and no other.
    pub consumer: ConsumerName,
    /// The type of the aggregate that they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_type: Option<Text<256>>,
    /// The id of the aggregate that they are about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aggregate_id: Option<Text<1024>>,
    /// Their types; absent for every type.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = 100))]
    pub event_types: Option<Vec<Text<256>>>,
    /// Committed at this time or later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Committed before this time, which is not later than the operation's beginning.
    pub to: Timestamp,
    /// Present if it replays all that was before the consumer began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before_it_began: Option<FirstReplay>,
}

/// Which pending events are published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RepublishSelection {
    /// Committed at this time or before, which is not later than the operation's beginning.
    pub to: Timestamp,
    /// Whether those are published, too, that the bus had refused for good.
    pub include_failed: bool,
    /// The largest number of events that are published; after a crash, at most a page more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
}

/// The first replay of what was before a consumer began. For a while it makes a missing mark a proof again: what the bus
/// published before the consumer began can have reached it only by a replay.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(inline)]
pub struct FirstReplay {
    /// When the consumer began: when the first of its lanes was created.
    pub began: Timestamp,
    /// When a replay was begun that could send events from before that to the consumer, for the first time.
    pub since: Timestamp,
}

/// As a message's attribute: both times, joined by a slash.
impl fmt::Display for FirstReplay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.began, self.since)
    }
}

/// A text is no first replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("is not two times joined by a slash")]
pub struct NotAFirstReplay;

impl FromStr for FirstReplay {
    type Err = NotAFirstReplay;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (began, since) = text.split_once('/').ok_or(NotAFirstReplay)?;
        let time = |text: &str| text.parse().map_err(|_| NotAFirstReplay);
        Ok(Self {
            began: time(began)?,
            since: time(since)?,
        })
    }
}

/// How the dead letters of an operation ended, and the events of a replay.
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
    /// How many were left alone: resolved meanwhile, taken by another operation, expired, or no event. Of a republication: rows
    /// of the log that cannot be read.
    pub skipped: u32,
    /// How many events a replay has sent, or a republication has published.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub sent: u32,
    /// How many events fitted a replay and were not sent, because the consumer does not listen to their type.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub passed_over: u32,
    /// How many events fitted a replay and were not sent, because they are too old: their consumer could not tell them
    /// from repeats.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub too_old: u32,
    /// How many pending events the bus refused for good. Each row of the log has the reason.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u32,
    /// How many pending events were left alone, because the bus had refused them for good before.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_failed: u32,
}

/// Only an operation about the event log has such counts.
const fn is_zero(count: &u32) -> bool {
    *count == 0
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
    /// How many dead letters it is about. Later ones that fit the selection are not. Of a replay: how many events it
    /// sends; 0 if that is not known when it begins.
    pub count: u32,
    /// The SHA-256 of their ids in the order in which they are taken, one a line, in hexadecimal digits.
    pub letters_sha256: Text<64>,
    /// The largest number of dead letters that was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
    /// How many dead letters, or events, it sends in a second at most.
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
    /// Which events are sent to which consumer, if it is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplaySelection>,
    /// Which pending events are published, if it republishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub republish: Option<RepublishSelection>,
    /// The operation's version after the change.
    pub version: Sequence,
}

/// The longest value in a patch, in characters.
pub const PATCH_VALUE: usize = 65_536;

/// The most steps that a patch can have.
pub const PATCH_STEPS: usize = 1_000;

/// A dead letter of which the message was edited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct EditedLetter {
    /// The dead letter.
    pub letter_id: Text<32>,
    /// The dead letter that the edited message goes on as: another one, if the edited event has another id.
    pub goes_on_as: Text<32>,
    /// What turns the message into the edited one (RFC 6902), in order.
    #[schemars(length(max = PATCH_STEPS))]
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
    pub value: Option<Text<PATCH_VALUE>>,
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

impl PatchOp {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Add => "add",
            Self::Remove => "remove",
            Self::Replace => "replace",
        }
    }
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
    /// How its dead letters, or its events, ended.
    pub outcome: OperationOutcome,
    /// The operation's version after the change.
    pub version: Sequence,
}
