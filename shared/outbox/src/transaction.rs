//! One business change: state, events and mark, collected and then committed together.

use std::{collections::HashSet, sync::Arc};

use events::{
    Cause, Draft, DraftError, Envelope, EnvelopeError, EventId, IdempotencyKey, Invalid, Program,
    Registry, Retention, Sequence, Stamp, Timestamp,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ANSWER_MAX_BYTES, Answer, Clock, Condition, Done, Error, Item, Key, MARK_LIFE, Mark, MarkError,
    Prepared, Table, Write, decode_item, encode_item, log::row_item, store::attribute, store::ttl,
    tables::Tables,
};

/// The largest number of items in a DynamoDB transaction
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// The largest DynamoDB transaction in bytes, all items together
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;

/// Why a transaction was refused when built: a fault of the program, not of the caller.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// Too many items.
    #[error("the transaction has {items} items; at most {MAX_TRANSACTION_ITEMS} are allowed")]
    TooManyItems {
        /// How many.
        items: usize,
    },
    /// Too large.
    #[error("the transaction has about {bytes} bytes; at most {MAX_TRANSACTION_BYTES} are allowed")]
    TooLarge {
        /// How many bytes, estimated from the items' JSON.
        bytes: usize,
    },
    /// An item is written twice.
    #[error("the transaction writes {key} twice")]
    ItemTwice {
        /// Which.
        key: String,
    },
    /// Two events tell the same fact.
    #[error("the transaction holds two events {event_type} with the idempotency key {key}")]
    FactTwice {
        /// The events' type.
        event_type: String,
        /// The key.
        key: String,
    },
    /// An event is about another thing than the state it is saved with.
    #[error("the event is about {event}, the state is {state}")]
    OtherAggregate {
        /// What the event says.
        event: String,
        /// What is being saved.
        state: String,
    },
    /// The outbox has no event log: an event, or a reading of the log.
    #[error("this function has no event log: it emits no events and reads none")]
    NoLog,
    /// The outbox has no marks.
    #[error("this function has no marks: it only makes guarded writes")]
    NoMarks,
    /// An event breaks its contract.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An event cannot be made.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// An event is too large.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A number ran out of its range.
    #[error(transparent)]
    Number(#[from] events::IdError),
    /// A row cannot be written as an item.
    #[error("cannot write {key}")]
    Row {
        /// Which.
        key: String,
        /// Why.
        #[source]
        source: Box<Error>,
    },
    /// The mark or the answer breaks a rule.
    #[error(transparent)]
    Mark(#[from] MarkError),
}

/// The state of an aggregate, stored as one item that carries `version` and `last_sequence`.
///
/// The type's own fields must not be called `version`, `last_sequence`, `pk` or `sk`.
pub trait State: Serialize + DeserializeOwned + Send + Sync {
    /// The aggregate type of its events.
    const AGGREGATE: &'static str;

    /// Its key: one item per aggregate.
    #[must_use]
    fn key(table: &Table, id: &str) -> Key {
        table.key(format!("{}#{id}", Self::AGGREGATE), "state")
    }
}

/// An aggregate as it was read: its state, or its absence, and the versions that a change of it must still find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity<S> {
    key: Key,
    aggregate: String,
    version: u64,
    last_sequence: u64,
    state: Option<S>,
}

/// The state of an aggregate whose owner is not here: its events come from outside, and are only numbered.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Numbered {}

impl<S: State> Entity<S> {
    pub(crate) fn read(table: &Table, id: &str, item: Option<Item>) -> Result<Self, Error> {
        let aggregate = format!("{}#{id}", S::AGGREGATE);
        Self::read_at(S::key(table, id), aggregate, item)
    }
}

impl<S: Serialize + DeserializeOwned> Entity<S> {
    pub(crate) fn read_at(key: Key, aggregate: String, item: Option<Item>) -> Result<Self, Error> {
        let Some(item) = item else {
            return Ok(Self {
                key,
                aggregate,
                version: 0,
                last_sequence: 0,
                state: None,
            });
        };
        let number = |name: &str| {
            item.get(name)
                .and_then(Value::as_u64)
                .ok_or_else(|| Error::Item {
                    key: key.to_string(),
                    source: serde::de::Error::custom(format!(
                        "attribute {name} is missing or no number"
                    )),
                })
        };
        let (version, last_sequence) = (
            number(attribute::VERSION)?,
            number(attribute::LAST_SEQUENCE)?,
        );
        let state = Some(decode_item(&key, item)?);
        Ok(Self {
            key,
            aggregate,
            version,
            last_sequence,
            state,
        })
    }

    /// The state; `None` where the aggregate does not exist yet.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// Its version: 0 where it does not exist yet, one more with every write.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version it has after the next write: what an event that states its values carries.
    ///
    /// # Errors
    /// [`events::IdError`] when versions run out.
    pub fn next_version(&self) -> Result<Sequence, events::IdError> {
        Sequence::new(self.version + 1)
    }

    /// Its key.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// What must still hold for anything decided on this reading.
    #[must_use]
    pub fn unchanged(&self) -> Condition {
        if self.state.is_none() {
            Condition::Absent
        } else {
            Condition::Equals(vec![
                (attribute::VERSION, Value::from(self.version)),
                (attribute::LAST_SEQUENCE, Value::from(self.last_sequence)),
            ])
        }
    }
}

/// What a decision writes: built once per attempt, by [`crate::Outbox::execute`] or the consumer runtime.
pub struct Transaction {
    mark: Mark,
    cause: Cause,
    program: Arc<Program>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    tables: Tables,
    now: Timestamp,
    writes: Vec<Write>,
    events: Vec<Envelope>,
    answer: Option<Answer>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys only: items and events are business data.
        let keys: Vec<String> = self
            .writes
            .iter()
            .map(|write| write.key().to_string())
            .collect();
        f.debug_struct("Transaction")
            .field("mark", &self.mark.kind())
            .field("writes", &keys)
            .finish_non_exhaustive()
    }
}

impl Transaction {
    pub(crate) fn new(
        mark: Mark,
        cause: Cause,
        program: Arc<Program>,
        clock: Arc<dyn Clock>,
        registry: Arc<Registry>,
        tables: Tables,
    ) -> Self {
        let now = clock.now();
        Self {
            mark,
            cause,
            program,
            clock,
            registry,
            tables,
            now,
            writes: Vec::new(),
            events: Vec::new(),
            answer: None,
        }
    }

    /// The moment of this decision.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id for something this decision creates.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.clock.uuid()
    }

    /// What must not happen twice.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The events collected so far.
    #[must_use]
    pub fn events(&self) -> &[Envelope] {
        &self.events
    }

    /// Saves an aggregate's new state together with the events that tell of it. Both version and numbering are checked
    /// and advanced in the state's item: a concurrent change makes the commit conflict and the decision is made again.
    ///
    /// Returns the events' ids, in order.
    ///
    /// # Errors
    /// [`BuildError`] when an event breaks its contract, is about another aggregate or too large.
    pub fn update<S: Serialize + DeserializeOwned>(
        &mut self,
        entity: &Entity<S>,
        state: &S,
        drafts: Vec<Draft>,
    ) -> Result<Vec<EventId>, BuildError> {
        let ids = drafts
            .into_iter()
            .zip(entity.last_sequence + 1..)
            .map(|(draft, sequence)| self.event(&entity.aggregate, sequence, draft))
            .collect::<Result<Vec<_>, _>>()?;
        self.state(entity, state, ids.len())?;
        Ok(ids)
    }

    /// The same where there is an event: returns the id of `event`, which is numbered before the `others`.
    ///
    /// # Errors
    /// As [`Self::update`].
    pub fn tell<S: Serialize + DeserializeOwned>(
        &mut self,
        entity: &Entity<S>,
        state: &S,
        event: Draft,
        others: Vec<Draft>,
    ) -> Result<EventId, BuildError> {
        let id = self.event(&entity.aggregate, entity.last_sequence + 1, event)?;
        let mut events = 1;
        for (draft, sequence) in others.into_iter().zip(entity.last_sequence + 2..) {
            self.event(&entity.aggregate, sequence, draft)?;
            events += 1;
        }
        self.state(entity, state, events)?;
        Ok(id)
    }

    /// Collects an event of an aggregate under its number.
    fn event(
        &mut self,
        aggregate: &str,
        sequence: u64,
        draft: Draft,
    ) -> Result<EventId, BuildError> {
        if draft.aggregate() != aggregate {
            return Err(BuildError::OtherAggregate {
                event: draft.aggregate(),
                state: aggregate.to_owned(),
            });
        }
        self.registry.validate_draft(&draft)?;
        let envelope = draft.made_by(&self.program).seal(&Stamp {
            event_id: EventId::new(self.clock.uuid())?,
            sequence: Sequence::new(sequence)?,
            now: self.now,
            cause: &self.cause,
        });
        let id = envelope.event_id;
        self.events.push(envelope);
        Ok(id)
    }

    /// Collects a state with its next version, so many events later.
    fn state<S: Serialize + DeserializeOwned>(
        &mut self,
        entity: &Entity<S>,
        state: &S,
        events: usize,
    ) -> Result<(), BuildError> {
        let mut item = encode_item(&entity.key, state).map_err(row_error(&entity.key))?;
        let version = Value::from(entity.version + 1);
        item.insert(attribute::VERSION.to_owned(), version);
        let last_sequence = Value::from(entity.last_sequence.saturating_add(events as u64));
        item.insert(attribute::LAST_SEQUENCE.to_owned(), last_sequence);
        self.writes.push(Write::Put {
            key: entity.key.clone(),
            item,
            condition: entity.unchanged(),
        });
        Ok(())
    }

    /// Writes a row that must not exist yet.
    ///
    /// # Errors
    /// [`BuildError::Row`] when it is no JSON object.
    pub fn insert<T: Serialize + ?Sized>(&mut self, key: Key, row: &T) -> Result<(), BuildError> {
        let item = encode_item(&key, &row).map_err(row_error(&key))?;
        self.writes.push(Write::Put {
            key,
            item,
            condition: Condition::Absent,
        });
        Ok(())
    }

    /// Records a fact for ever: a row `fact#{key}` of the domain's table, put if absent, without expiry. Whoever finds it
    /// there reads in `row` what made it true.
    ///
    /// # Errors
    /// [`BuildError::Row`] when the row is no JSON object.
    pub fn fact<T: Serialize>(
        &mut self,
        table: &Table,
        key: &IdempotencyKey,
        row: &T,
    ) -> Result<(), BuildError> {
        self.insert(fact_key(table, key), row)
    }

    /// Adds to number attributes of a row, blindly; negative takes away.
    pub fn add(&mut self, key: Key, amounts: Vec<(&'static str, Decimal)>) {
        self.writes.push(Write::Add { key, amounts });
    }

    /// Makes the commit depend on an item it does not write.
    pub fn check(&mut self, key: Key, condition: Condition) {
        self.writes.push(Write::Check { key, condition });
    }

    /// Puts a whole row where a condition holds.
    ///
    /// # Errors
    /// [`BuildError::Row`] when the row is no JSON object.
    pub fn put<T: Serialize>(
        &mut self,
        key: Key,
        row: &T,
        condition: Condition,
    ) -> Result<(), BuildError> {
        let item = encode_item(&key, row).map_err(row_error(&key))?;
        self.writes.push(Write::Put {
            key,
            item,
            condition,
        });
        Ok(())
    }

    /// Removes a row where a condition holds.
    pub fn delete(&mut self, key: Key, condition: Condition) {
        self.writes.push(Write::Delete { key, condition });
    }

    /// Keeps the answer that repeats of this request get. It must not hold a secret.
    pub fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    /// Checks the whole and fixes the bytes that will be sent, however often.
    pub(crate) fn prepare(self) -> Result<(Prepared, Vec<Envelope>), BuildError> {
        let token = self.clock.uuid().to_string();
        let marks_table = self.tables.marks()?;
        let mark_key = self.mark.key(marks_table)?;
        let mut done = Done {
            kind: self.mark.kind().to_owned(),
            token: token.clone(),
            created_at: self.now,
            expires_at: Some(ttl(self.now.plus(MARK_LIFE))),
            body_sha256: None,
            fence: None,
            answer: self.answer,
        };
        let mut cursor = None;
        match self.mark {
            Mark::Request { body_sha256, .. } => done.body_sha256 = Some(body_sha256),
            Mark::JobPage { fence, .. } => done.fence = Some(fence),
            Mark::Event { .. } | Mark::Episode { .. } => {}
            Mark::Cursor { from, to } => cursor = Some((from, to)),
        }
        if let Some(answer) = &done.answer {
            let bytes = answer.body.to_string().len();
            if bytes > ANSWER_MAX_BYTES {
                return Err(MarkError::AnswerTooLarge { bytes }.into());
            }
        }
        let (mark_item, condition) = match &cursor {
            None => (encode_item(&mark_key, &done), Condition::Absent),
            Some((from, to)) => (
                from.advanced(marks_table, *to, &token, self.now),
                from.unchanged(),
            ),
        };
        let mut writes = vec![Write::Put {
            item: mark_item.map_err(row_error(&mark_key))?,
            key: mark_key,
            condition,
        }];
        writes.extend(self.writes);
        let mut facts = HashSet::new();
        for envelope in &self.events {
            if let Some(fact) = &envelope.idempotency_key
                && !facts.insert((
                    envelope.event_type.clone(),
                    envelope.aggregate(),
                    fact.clone(),
                ))
            {
                return Err(BuildError::FactTwice {
                    event_type: envelope.event_type.to_string(),
                    key: fact.to_string(),
                });
            }
            let retention = self
                .registry
                .get(
                    envelope.event_type.as_str(),
                    envelope.event_version.number(),
                )
                .map_or(Retention::Forever, |entry| entry.info().retention);
            let key = self
                .tables
                .events()?
                .numbered_key(envelope.aggregate(), envelope.sequence.number());
            let item = row_item(&key, envelope, &envelope.to_json()?, self.now, retention);
            writes.push(Write::Put {
                key,
                item,
                condition: Condition::Absent,
            });
        }
        if writes.len() > MAX_TRANSACTION_ITEMS {
            return Err(BuildError::TooManyItems {
                items: writes.len(),
            });
        }
        let mut keys = HashSet::new();
        let mut bytes = 0_usize;
        for write in &writes {
            if !keys.insert(write.key()) {
                return Err(BuildError::ItemTwice {
                    key: write.key().to_string(),
                });
            }
            bytes += match write {
                Write::Put { item, .. } => bytes_of(item),
                Write::Add { .. } | Write::Check { .. } | Write::Delete { .. } => {
                    write.key().pk.len()
                }
            };
        }
        if bytes > MAX_TRANSACTION_BYTES {
            return Err(BuildError::TooLarge { bytes });
        }
        Ok((Prepared { token, writes }, self.events))
    }
}

/// About as many bytes as DynamoDB counts of an item, never less
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>, read 2026-11-28).
fn bytes_of(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + bytes_of_value(value))
        .sum()
}

fn bytes_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // The longest number there is.
        Value::Number(_) => 21,
        Value::String(text) => text.len(),
        Value::Array(values) => {
            3 + values
                .iter()
                .map(|one| 1 + bytes_of_value(one))
                .sum::<usize>()
        }
        Value::Object(fields) => 3 + fields.len() + bytes_of(fields),
    }
}

/// Where a fact's row stands.
#[must_use]
pub fn fact_key(table: &Table, key: &IdempotencyKey) -> Key {
    table.key(format!("fact#{key}"), "fact")
}

fn row_error(key: &Key) -> impl FnOnce(Error) -> BuildError {
    let key = key.to_string();
    move |source| BuildError::Row {
        key,
        source: Box::new(source),
    }
}
