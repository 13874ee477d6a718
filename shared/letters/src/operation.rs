//! An operation: what an operator does to many letters at once, or a replay, told by events.

mod rebuild;

use std::time::Duration;

use domain::{Illegal, Transitions};
use events::{
    Contract as _, Draft, DraftError, IdempotencyKey, OperationId, Sequence, Text, Timestamp,
    contracts::operation::{
        Begun, Changed, EditedLetter, Finished, LetterCriteria, OperationAct, OperationChange,
        OperationOutcome, OperationStatus, ReplaySelection, RepublishSelection,
    },
};
use outbox::{BuildError, Entity, Key, State, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{letter::LetterId, signature::hex};

/// The highest rate of an operation, in letters or events a second.
pub const FASTEST: u32 = 100;

/// How many letters a page of an operation's selection has at most. The pages of 10,000 letters fit one transaction.
pub const PAGE_LETTERS: usize = 125;

/// How long the pages of an operation's selection are kept.
pub const SELECTION_LIFE: Duration = crate::letter::BODY_LIFE;

/// The partition of the index `listed` that has the operations.
pub const OPERATIONS: &str = "operations";

/// Which status can follow which.
pub const OPERATION: Transitions<OperationStatus> = {
    use OperationStatus::{Cancelled, Finished, Paused, Running};
    Transitions::new(&[
        (Running, &[Paused, Cancelled, Finished]),
        (Paused, &[Running, Cancelled, Finished]),
        (Cancelled, &[Finished]),
        (Finished, &[]),
    ])
};

/// An operation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Operation {
    /// The operation's id.
    operation_id: OperationId,
    /// What it does to each of its letters.
    act: OperationAct,
    /// How its letters were chosen; absent if they were named one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    selection: Option<LetterCriteria>,
    /// Which events it sends to which consumer, if it is a replay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replay: Option<ReplaySelection>,
    /// Which pending events it publishes, if it republishes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    republish: Option<RepublishSelection>,
    /// How many letters it is about. Of a replay: how many events it sends; 0 if that was not known when it began.
    count: u32,
    /// The SHA-256 of their ids.
    letters_sha256: Text<64>,
    /// The largest number of letters that was allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    cap: Option<u32>,
    /// How many letters, or events, it sends in a second at most.
    rate_per_second: u32,
    /// Whether the first letter must be handled before the others are sent.
    canary: bool,
    /// Why it was begun.
    reason: Text<500>,
    /// The user for whom it was begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<Text<256>>,
    /// The owner of the API key that began it.
    key_owner: Text<256>,
    /// Its status.
    status: OperationStatus,
    /// Why it was last paused, resumed or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    status_reason: Option<Text<500>>,
    /// How its letters ended; absent until it is finished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    outcome: Option<OperationOutcome>,
    /// When it was begun.
    begun_at: Timestamp,
    /// When it last changed.
    changed_at: Timestamp,
    /// The partition of the index `listed`.
    #[schemars(skip)]
    listed: String,
    /// The sort key in that partition.
    #[schemars(skip)]
    listed_at: String,
}

impl State for Operation {
    const AGGREGATE: &'static str = Begun::AGGREGATE;
}

/// What begins an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Begin {
    /// The new operation's id.
    pub operation_id: OperationId,
    /// What to do to each letter.
    pub act: OperationAct,
    /// How the letters were chosen; absent if they were named one by one.
    pub selection: Option<LetterCriteria>,
    /// The letters, in the order in which they are to be taken.
    pub letters: Vec<LetterId>,
    /// The largest number of letters that is allowed.
    pub cap: Option<u32>,
    /// How many letters to send in a second at most, 1 to 100.
    pub rate_per_second: u32,
    /// Whether the first letter must be handled before the others are sent.
    pub canary: bool,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it is begun.
    pub actor: Option<Text<256>>,
    /// The owner of the API key that begins it.
    pub key_owner: Text<256>,
    /// What is edited, if it is an edit.
    pub edited: Option<EditedLetter>,
    /// What is replayed, if it is a replay. It is about no letter.
    pub replay: Option<Replaying>,
    /// What is published, if it republishes. It is about no letter.
    pub republish: Option<RepublishSelection>,
}

impl Begin {
    /// An operation about the event log, and so about no letter. What it does there is still to be set.
    pub(crate) fn about_the_log(
        operation_id: OperationId,
        act: OperationAct,
        rate_per_second: u32,
        by: By,
        key_owner: Text<256>,
    ) -> Self {
        Self {
            operation_id,
            act,
            selection: None,
            letters: Vec::new(),
            cap: None,
            rate_per_second: rate_per_second.clamp(1, FASTEST),
            canary: false,
            reason: by.reason,
            actor: by.actor,
            key_owner,
            edited: None,
            replay: None,
            republish: None,
        }
    }
}

/// What a replay is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaying {
    /// Which events, to which consumer.
    pub selection: ReplaySelection,
    /// How many events it sends; 0 if that is not known.
    pub count: u32,
}

/// Who changes an operation, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it is done.
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it is done; absent if the operation does it itself.
    pub key_owner: Option<Text<256>>,
}

/// An event of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was begun.
    Begun(Box<Begun>),
    /// It was paused, resumed or cancelled.
    Changed(Changed),
    /// It was finished.
    Finished(Finished),
}

impl Event {
    /// The draft of the event, with an idempotency key that names the fact.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        let (draft, name) = match self {
            Self::Begun(event) => (
                Draft::of(&**event)?,
                format!("operation/{}/begun", event.operation_id),
            ),
            Self::Changed(event) => (
                Draft::of(event)?,
                format!("operation/{}/changed/{}", event.operation_id, event.version),
            ),
            Self::Finished(event) => (
                Draft::of(event)?,
                format!("operation/{}/finished", event.operation_id),
            ),
        };
        Ok(draft.with_idempotency_key(IdempotencyKey::new(name)?))
    }
}

/// A decided change: the operation after it, and its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The operation after the change.
    pub operation: Operation,
    /// The event.
    pub event: Event,
}

impl Change {
    /// Puts the operation and the event into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another operation's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Operation>,
    ) -> Result<(), BuildError> {
        transaction.update(entity, &self.operation, vec![self.event.draft()?])?;
        Ok(())
    }
}

/// The SHA-256 of letters' ids, one a line.
#[must_use]
pub fn digest(letters: &[LetterId]) -> String {
    let lines: String = letters.iter().map(|id| format!("{id}\n")).collect();
    hex(&Sha256::digest(lines))
}

impl Operation {
    /// Begins an operation. `version` is the version after the write.
    ///
    /// # Errors
    /// [`events::TextError`] never: a digest has 64 characters.
    pub fn begin(
        begin: &Begin,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Change, events::TextError> {
        let letters = u32::try_from(begin.letters.len()).unwrap_or(u32::MAX);
        let replaying = begin.replay.as_ref();
        let event = Begun {
            operation_id: begin.operation_id,
            act: begin.act,
            selection: begin.selection.clone(),
            count: replaying.map_or(letters, |replaying| replaying.count),
            letters_sha256: Text::new(digest(&begin.letters))?,
            cap: begin.cap,
            rate_per_second: begin.rate_per_second.clamp(1, FASTEST),
            canary: begin.canary,
            reason: begin.reason.clone(),
            actor: begin.actor.clone(),
            key_owner: begin.key_owner.clone(),
            edited: begin.edited.clone(),
            replay: replaying.map(|replaying| replaying.selection.clone()),
            republish: begin.republish,
            version,
        };
        let operation = Self {
            operation_id: event.operation_id,
            act: event.act,
            selection: event.selection.clone(),
            replay: event.replay.clone(),
            republish: event.republish,
            count: event.count,
            letters_sha256: event.letters_sha256.clone(),
            cap: event.cap,
            rate_per_second: event.rate_per_second,
            canary: event.canary,
            reason: event.reason.clone(),
            actor: event.actor.clone(),
            key_owner: event.key_owner.clone(),
            status: OperationStatus::Running,
            status_reason: None,
            outcome: None,
            begun_at: now,
            changed_at: now,
            listed: OPERATIONS.to_owned(),
            listed_at: listed_at(event.operation_id, now),
        };
        let event = Event::Begun(Box::new(event));
        Ok(Change { operation, event })
    }

    /// Pauses, resumes or cancels the operation. `version` is the version after the write.
    ///
    /// # Errors
    /// [`Illegal`] if its status does not allow it.
    pub fn change(
        &self,
        to: OperationChange,
        by: By,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Change, Illegal> {
        OPERATION.check(self.status, to.status())?;
        let operation = Self {
            status: to.status(),
            status_reason: Some(by.reason.clone()),
            changed_at: now,
            ..self.clone()
        };
        let event = Event::Changed(Changed {
            operation_id: self.operation_id,
            to,
            reason: by.reason,
            actor: by.actor,
            key_owner: by.key_owner,
            version,
        });
        Ok(Change { operation, event })
    }

    /// Finishes the operation. `version` is the version after the write.
    ///
    /// # Errors
    /// [`Illegal`] if it is finished.
    pub fn finish(
        &self,
        outcome: OperationOutcome,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Change, Illegal> {
        OPERATION.check(self.status, OperationStatus::Finished)?;
        let operation = Self {
            status: OperationStatus::Finished,
            outcome: Some(outcome),
            changed_at: now,
            ..self.clone()
        };
        let event = Event::Finished(Finished {
            operation_id: self.operation_id,
            outcome,
            version,
        });
        Ok(Change { operation, event })
    }

    /// The operation's id.
    #[must_use]
    pub fn operation_id(&self) -> OperationId {
        self.operation_id
    }

    /// What it does to each of its letters.
    #[must_use]
    pub fn act(&self) -> OperationAct {
        self.act
    }

    /// Which events it sends to which consumer, if it is a replay.
    #[must_use]
    pub fn replay(&self) -> Option<&ReplaySelection> {
        self.replay.as_ref()
    }

    /// Which pending events it publishes, if it republishes.
    #[must_use]
    pub fn republish(&self) -> Option<RepublishSelection> {
        self.republish
    }

    /// How many letters it is about. Of a replay: how many events it sends; 0 if that was not known.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }

    /// How many letters, or events, it sends in a second at most.
    #[must_use]
    pub fn rate_per_second(&self) -> u32 {
        self.rate_per_second
    }

    /// Whether the first letter must be handled before the others are sent.
    #[must_use]
    pub fn canary(&self) -> bool {
        self.canary
    }

    /// Why it was begun.
    #[must_use]
    pub fn reason(&self) -> &str {
        self.reason.as_str()
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> OperationStatus {
        self.status
    }
}

fn listed_at(id: OperationId, begun_at: Timestamp) -> String {
    format!("{begun_at}#{id}")
}

/// A page of an operation's selection, frozen when it began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SelectionPage {
    /// Its letters, in the order in which they are taken.
    pub letters: Vec<LetterId>,
    /// When the row expires, in seconds since 1970.
    pub expires_at: i64,
}

impl SelectionPage {
    /// The beginning of the pages' sort keys.
    pub const PREFIX: &'static str = "page#";

    /// The key of a page, from 0.
    #[must_use]
    pub fn key(table: &Table, id: OperationId, number: usize) -> Key {
        table.key(
            format!("operation#{id}"),
            format!("{}{number:04}", Self::PREFIX),
        )
    }
}

/// The row of an unfinished operation in the list that the job reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unfinished {
    /// The operation.
    pub operation_id: OperationId,
}

impl Unfinished {
    /// The partition of the rows, which also has the wishes about consumers ([`crate::pause::Wish`]), after them.
    pub const PARTITION: &'static str = "unfinished";

    /// The key of an operation's row.
    #[must_use]
    pub fn key(table: &Table, id: OperationId) -> Key {
        table.key(Self::PARTITION, id.to_string())
    }
}

/// How far an operation has got: a row beside its state, so that counting needs no event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Progress {
    /// How many letters of the selection were looked at.
    pub position: u32,
    /// The letters that it has taken and that are not decided yet.
    pub in_flight: Vec<Taken>,
    /// The letters that wait for one of their aggregate that is in flight.
    pub waiting: Vec<Taken>,
    /// How its letters have ended so far.
    pub counts: OperationOutcome,
    /// Whether the first letter was handled, if that was asked for.
    pub canary_passed: bool,
    /// Before this moment nothing is sent: the rate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub not_before: Option<Timestamp>,
    /// How far it has read the event log, if it is about that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replay: Option<ReplayProgress>,
}

/// How far a replay or a republication has read the event log.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct ReplayProgress {
    /// How many rows it has read.
    pub rows: u64,
    /// Whether it has read all of them.
    pub is_through: bool,
    /// Where it goes on, if it reads the whole log.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub after: Option<String>,
    /// The sequence of the last event that it has read, if it reads an aggregate; 0 at the beginning.
    #[serde(default)]
    pub sequence: u64,
    /// How many rows the next page reads; 0 before the first.
    #[serde(default)]
    pub rows_at_once: u32,
    /// How many pages in a row could not be published.
    #[serde(default)]
    pub failures: u32,
}

/// A letter of an operation, and whom it must not overtake.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Taken {
    /// The letter.
    pub letter_id: LetterId,
    /// The same for letters of one consumer and one aggregate; absent if the letter has no aggregate.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lot: Option<String>,
    /// Whether it was written down that the letter was sent.
    #[serde(default)]
    pub sent: bool,
}

impl State for Progress {
    // It has no events. The outbox guards the row's version.
    const AGGREGATE: &'static str = "operation_progress";

    fn key(table: &Table, id: &str) -> Key {
        table.key(format!("operation#{id}"), "progress")
    }
}

#[cfg(test)]
mod tests;
