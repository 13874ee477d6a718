//! Whether a consumer handles its events or is paused: the operator's wish, told by events.
//!
//! What an operator wishes is a state here. That Lambda does it, which is to poll the consumer's lanes or not to, is brought
//! about afterwards, and again whenever it is found otherwise. [`Wish`] is the row that says for which consumers: a paused
//! consumer has one, and a resumed one for [`WISH_LIFE`] at least.

mod rebuild;

use std::{fmt, time::Duration};

use domain::{Illegal, Transitions};
use events::{
    ConsumerName, Contract as _, Draft, DraftError, IdempotencyKey, Sequence, Text, Timestamp,
    contracts::consumer::{Paused, Resumed},
};
use outbox::{BuildError, Condition, Entity, Error, Key, Outbox, Query, State, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{listing::LISTED, operation::Unfinished};

/// The partition of the index `listed` that has the wishes of paused consumers.
pub const PAUSED: &str = "paused";

/// How long the wish of a resumed consumer is kept at least, although Lambda polls its lanes: longer than any call that was
/// made for an older wish can still arrive. Such a call ends with its function's invocation, after a minute at most.
pub const WISH_LIFE: Duration = Duration::from_secs(5 * 60);

/// How many wishes are read at most: more than a stack can have consumers.
const MOST_WISHES: u32 = 200;

/// The status of a consumer.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ConsumerStatus {
    /// It handles its events. A consumer that was never paused is running.
    Running,
    /// It takes no events. Its lanes keep them.
    Paused,
}

/// Which status can follow which.
pub const CONSUMER: Transitions<ConsumerStatus> = {
    use ConsumerStatus::{Paused, Running};
    Transitions::new(&[(Running, &[Paused]), (Paused, &[Running])])
};

impl ConsumerStatus {
    /// The status's name in rows, in answers and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Paused => "paused",
        }
    }
}

impl fmt::Display for ConsumerStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A consumer that was paused at least once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConsumerState {
    /// The consumer.
    consumer: ConsumerName,
    /// Its status.
    status: ConsumerStatus,
    /// When it got its status.
    since: Timestamp,
    /// Why.
    reason: Text<500>,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    key_owner: Text<256>,
}

impl State for ConsumerState {
    const AGGREGATE: &'static str = Paused::AGGREGATE;
}

/// Who pauses or resumes a consumer, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PausedBy {
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it is done.
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it is done.
    pub key_owner: Text<256>,
}

/// An event of a consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was paused.
    Paused(Paused),
    /// It was resumed.
    Resumed(Resumed),
}

impl Event {
    /// The draft of the event, with an idempotency key that names the fact.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        let (draft, name) = match self {
            Self::Paused(event) => (
                Draft::of(event)?,
                format!("consumer/{}/paused/{}", event.consumer, event.version),
            ),
            Self::Resumed(event) => (
                Draft::of(event)?,
                format!("consumer/{}/resumed/{}", event.consumer, event.version),
            ),
        };
        Ok(draft.with_idempotency_key(IdempotencyKey::new(name)?))
    }
}

/// A decided change: the consumer after it, and its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The consumer after the change.
    pub state: ConsumerState,
    /// The event.
    pub event: Event,
    /// The consumer's version after the change.
    version: Sequence,
}

impl Change {
    /// Puts the consumer, its wish and the event into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another consumer's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<ConsumerState>,
    ) -> Result<(), BuildError> {
        transaction.update(entity, &self.state, vec![self.event.draft()?])?;
        let wish = Wish::of(&self.state, self.version);
        let older = Condition::OlderThan(wish.version);
        transaction.put(Wish::key(table, &wish.consumer), &wish, older)
    }
}

impl ConsumerState {
    /// Pauses or resumes a consumer. `before` is absent if it was never paused; `version` is the version after the write.
    ///
    /// # Errors
    /// [`Illegal`] if it has the status already.
    pub fn change(
        before: Option<&Self>,
        consumer: &ConsumerName,
        to: ConsumerStatus,
        by: PausedBy,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Change, Illegal> {
        let from = before.map_or(ConsumerStatus::Running, |state| state.status);
        CONSUMER.check(from, to)?;
        let state = Self {
            consumer: consumer.clone(),
            status: to,
            since: now,
            reason: by.reason.clone(),
            actor: by.actor.clone(),
            key_owner: by.key_owner.clone(),
        };
        let (consumer, reason) = (consumer.clone(), by.reason);
        let (actor, key_owner) = (by.actor, by.key_owner);
        let event = match to {
            ConsumerStatus::Paused => Event::Paused(Paused {
                consumer,
                reason,
                actor,
                key_owner,
                version,
            }),
            ConsumerStatus::Running => Event::Resumed(Resumed {
                consumer,
                reason,
                actor,
                key_owner,
                version,
            }),
        };
        Ok(Change {
            state,
            event,
            version,
        })
    }

    /// The consumer.
    #[must_use]
    pub fn consumer(&self) -> &ConsumerName {
        &self.consumer
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> ConsumerStatus {
        self.status
    }

    /// When it got its status.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }
}

/// What Lambda is to do about a consumer's lanes: a row beside the consumer's state, written with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wish {
    /// The consumer.
    pub consumer: ConsumerName,
    /// The status that it is to have.
    pub status: ConsumerStatus,
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was wished.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was wished.
    pub key_owner: Text<256>,
    /// The consumer's version: a wish replaces older ones.
    version: u64,
    /// The partition of the index `listed`, and the sort key in it; absent if the consumer is not paused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    listed_at: Option<String>,
}

impl Wish {
    /// The beginning of the wishes' sort keys, in the partition of what the job has to do. It is greater than every
    /// operation's id.
    pub const PREFIX: &'static str = "wish#";

    fn of(state: &ConsumerState, version: Sequence) -> Self {
        let is_paused = state.status == ConsumerStatus::Paused;
        let place = format!("{}#{}", state.since, state.consumer);
        Self {
            consumer: state.consumer.clone(),
            status: state.status,
            since: state.since,
            reason: state.reason.clone(),
            actor: state.actor.clone(),
            key_owner: state.key_owner.clone(),
            version: version.number(),
            listed: is_paused.then(|| PAUSED.to_owned()),
            listed_at: is_paused.then_some(place),
        }
    }

    /// The key of a consumer's wish.
    #[must_use]
    pub fn key(table: &Table, consumer: &ConsumerName) -> Key {
        table.key(Unfinished::PARTITION, format!("{}{consumer}", Self::PREFIX))
    }

    /// Whether the consumer is to be paused.
    #[must_use]
    pub fn is_paused(&self) -> bool {
        self.status == ConsumerStatus::Paused
    }

    /// Whether the row can go once Lambda does what it wishes. The wish of a paused consumer stays: a deployment can begin
    /// to poll its lanes again.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        !self.is_paused() && now.since(self.since) >= WISH_LIFE
    }

    /// Removes the row, unless there is a newer wish.
    pub fn remove(&self, transaction: &mut Transaction, table: &Table) {
        let same = Condition::Equals(vec![("version", self.version.into())]);
        transaction.delete(Self::key(table, &self.consumer), same);
    }
}

/// The wishes of the consumers that are paused, the one paused last at the end. Reads by an index are eventually consistent.
#[must_use]
pub fn paused(table: &Table) -> Query {
    Query {
        index: Some(LISTED),
        ..Query::partition(table, PAUSED, MOST_WISHES)
    }
}

/// Why nothing was paused or resumed.
pub type Stopped = domain::Stopped<Illegal>;

/// The consumers and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Consumers<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The table of letters.
    pub table: &'a Table,
}

impl Consumers<'_> {
    /// The consumer; the entity is empty if it was never paused.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn consumer(&self, name: &ConsumerName) -> Result<Entity<ConsumerState>, Error> {
        self.outbox.load(self.table, name.as_str()).await
    }

    /// What Lambda is to do, by consumer: of each consumer that is paused, or was resumed lately.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn wishes(&self) -> Result<Vec<Wish>, Error> {
        let query = Query {
            prefix: Some(Wish::PREFIX.to_owned()),
            ..Query::partition(self.table, Unfinished::PARTITION, MOST_WISHES)
        };
        Ok(self.outbox.rows(&query).await?.0)
    }

    /// Pauses or resumes a consumer that was read before.
    ///
    /// # Errors
    /// [`Stopped::Refused`] if it has the status already; [`Stopped::Failed`].
    pub fn change(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<ConsumerState>,
        consumer: &ConsumerName,
        to: ConsumerStatus,
        by: PausedBy,
    ) -> Result<ConsumerState, Stopped> {
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = ConsumerState::change(entity.state(), consumer, to, by, version, now)
            .map_err(Stopped::Refused)?;
        change.save(transaction, self.table, entity)?;
        Ok(change.state)
    }
}

#[cfg(test)]
mod tests;
