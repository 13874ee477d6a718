//! One business change: its state, events and mark are collected and then committed together.

use std::{collections::HashSet, sync::Arc};

use events::{
    Cause, Draft, DraftError, Envelope, EnvelopeError, EventId, Invalid, Program, Registry,
    Retention, Sequence, Stamp, Timestamp,
};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use uuid::Uuid;

use crate::{
    ANSWER_MAX_BYTES, Answer, Clock, Condition, Done, Error, Item, Key, MARK_LIFE, Mark, MarkError,
    Prepared, Series, SeriesRows, Table, Write, decode_item, encode_item,
    item::whole_number,
    log::row_item,
    mark::{check_identity, event_identity},
    store::attribute,
    store::ttl,
    tables::OutboxTables,
};

/// The largest number of items in a DynamoDB transaction
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub const MAX_TRANSACTION_ITEMS: usize = 100;

/// The largest DynamoDB transaction in bytes, all items together
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
pub const MAX_TRANSACTION_BYTES: usize = 4 * 1024 * 1024;

/// Why a transaction was refused when it was built: an error in the program, not of the caller.
#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    /// The transaction has too many items.
    #[error("the transaction has {items} items; at most {MAX_TRANSACTION_ITEMS} are allowed")]
    TooManyItems {
        /// The number of items.
        items: usize,
    },
    /// The transaction is too large.
    #[error("the transaction has about {bytes} bytes; at most {MAX_TRANSACTION_BYTES} are allowed")]
    TooLarge {
        /// The size in bytes, estimated from the items' JSON.
        bytes: usize,
    },
    /// The transaction writes an item twice.
    #[error("the transaction writes {key} twice")]
    ItemTwice {
        /// The item's key.
        key: String,
    },
    /// Two events announce the same fact.
    #[error("the transaction holds two events {event_type} with the idempotency key {key}")]
    FactTwice {
        /// The events' type.
        event_type: String,
        /// The events' idempotency key.
        key: String,
    },
    /// An event is about another aggregate than the state that it is saved with.
    #[error("the event is about {event}, the state is {state}")]
    OtherAggregate {
        /// The event's aggregate.
        event: String,
        /// The aggregate of the saved state.
        state: String,
    },
    /// The outbox has no event log, but the call emits an event or reads the log.
    #[error("this function has no event log: it emits no events and reads none")]
    NoLog,
    /// The outbox has no marks, but the call needs one.
    #[error("this function has no marks: it only makes guarded writes")]
    NoMarks,
    /// An event violates its contract.
    #[error(transparent)]
    Invalid(#[from] Invalid),
    /// An event cannot be created.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// An event is too large.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
    /// A number exceeds its range.
    #[error(transparent)]
    Number(#[from] events::IdError),
    /// A row cannot be written as an item.
    #[error("cannot write {key}")]
    Row {
        /// The item's key.
        key: String,
        /// The cause.
        #[source]
        source: Box<Error>,
    },
    /// The mark or the answer violates a rule.
    #[error(transparent)]
    Mark(#[from] MarkError),
}

/// The state of an aggregate, stored as one item that carries `version` and `last_sequence`.
///
/// The type's own fields must not be called `version`, `last_sequence`, `pk` or `sk`.
pub trait State: Serialize + DeserializeOwned + Send + Sync {
    /// The aggregate type of the state's events.
    const AGGREGATE: &'static str;

    /// The key of the state's item: one item per aggregate.
    #[must_use]
    fn key(table: &Table, id: &str) -> Key {
        table.key(format!("{}#{id}", Self::AGGREGATE), "state")
    }
}

/// An aggregate as it was read: its state, or its absence, and the version and last sequence that a change must find
/// unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entity<S> {
    key: Key,
    aggregate: String,
    version: u64,
    last_sequence: u64,
    state: Option<S>,
}

/// The state of an aggregate that another system owns: its events come from outside, and the outbox only numbers them.
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
        let number = |name: &str| whole_number(&key, &item, name);
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

    /// The state; `None` if the aggregate does not exist yet.
    #[must_use]
    pub fn state(&self) -> Option<&S> {
        self.state.as_ref()
    }

    /// The version: 0 if the aggregate does not exist yet. Every write raises it by one.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The version after the next write. An event that carries the aggregate's values carries this version.
    ///
    /// # Errors
    /// [`events::IdError`] when versions run out.
    pub fn next_version(&self) -> Result<Sequence, events::IdError> {
        Sequence::new(self.version + 1)
    }

    /// The key of the aggregate's item.
    #[must_use]
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// The condition that the item is unchanged since this read.
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

/// The writes of one decision. [`crate::Outbox::execute`] and the consumer runtime create one for each attempt.
pub struct Transaction {
    mark: Mark,
    cause: Cause,
    program: Arc<Program>,
    clock: Arc<dyn Clock>,
    registry: Arc<Registry>,
    tables: OutboxTables,
    now: Timestamp,
    writes: Vec<Write>,
    in_series: Option<(SeriesRows, Vec<Write>)>,
    events: Vec<Envelope>,
    answer: Option<Answer>,
}

impl std::fmt::Debug for Transaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Keys only: items and events are business data.
        let in_series = self.in_series.iter().flat_map(|(_, writes)| writes);
        let keys: Vec<String> = self
            .writes
            .iter()
            .chain(in_series)
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
        tables: OutboxTables,
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
            in_series: None,
            events: Vec::new(),
            answer: None,
        }
    }

    /// The time of this decision.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// A new id for something this decision creates.
    #[must_use]
    pub fn uuid(&self) -> Uuid {
        self.clock.uuid()
    }

    /// The mark that makes this transaction unrepeatable.
    #[must_use]
    pub fn mark(&self) -> &Mark {
        &self.mark
    }

    /// The events collected so far.
    #[must_use]
    pub fn events(&self) -> &[Envelope] {
        &self.events
    }

    /// Saves an aggregate's new state together with the events that announce it. The state's item holds the version and
    /// the last sequence; the commit checks and advances both. After a concurrent change the commit conflicts, and the
    /// decision is made again.
    ///
    /// Returns the events' ids, in order.
    ///
    /// # Errors
    /// [`BuildError`] when an event violates its contract, is about another aggregate, or is too large.
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

    /// Like [`Self::update`], for a change with at least one event. Returns the id of `event`, whose sequence comes
    /// before those of the `others`.
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

    /// Collects an event of an aggregate under its sequence.
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

    /// Collects a state with its next version and with the last sequence after `events` more events.
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
    /// [`BuildError::Row`] when the row is not a JSON object.
    pub fn insert<T: Serialize + ?Sized>(&mut self, key: Key, row: &T) -> Result<(), BuildError> {
        self.put(key, row, Condition::Absent)
    }

    /// Writes rows, which must not exist yet, under the next number of a series, and moves the series' head. `rows`
    /// returns the rows under a number. It can be called more than once: if the transaction is committed in a group, the
    /// number can become a later one. Nothing else in the transaction may depend on the number. A transaction has rows in
    /// one series at most; a second call replaces the first.
    ///
    /// # Errors
    /// [`BuildError::Row`] when `rows` fails.
    pub fn number(
        &mut self,
        series: Series,
        rows: impl Fn(u64) -> Result<Vec<(Key, Item)>, Error> + Send + Sync + 'static,
    ) -> Result<(), BuildError> {
        let numbered = SeriesRows::new(series, rows);
        let own = numbered.own();
        let mut writes = vec![numbered.series.moved_to(own)];
        writes.extend(numbered.rows(own)?);
        self.in_series = Some((numbered, writes));
        Ok(())
    }

    /// Adds to number attributes of a row without reading it; a negative amount subtracts.
    pub fn add(&mut self, key: Key, amounts: Vec<(&'static str, Decimal)>) {
        self.writes.push(Write::Add { key, amounts });
    }

    /// Makes the commit depend on an item that it does not write.
    pub fn check(&mut self, key: Key, condition: Condition) {
        self.writes.push(Write::Check { key, condition });
    }

    /// Puts a whole row if a condition holds.
    ///
    /// # Errors
    /// [`BuildError::Row`] when the row is not a JSON object.
    pub fn put<T: Serialize + ?Sized>(
        &mut self,
        key: Key,
        row: &T,
        condition: Condition,
    ) -> Result<(), BuildError> {
        let unwritable = row_error(&key);
        let write = Write::put(key, row, condition).map_err(unwritable)?;
        self.writes.push(write);
        Ok(())
    }

    /// Removes a row if a condition holds.
    pub fn delete(&mut self, key: Key, condition: Condition) {
        self.writes.push(Write::Delete { key, condition });
    }

    /// Stores the answer that repeats of this request get. It must not contain a secret.
    pub fn answer(&mut self, answer: Answer) {
        self.answer = Some(answer);
    }

    /// Checks the whole transaction and fixes its bytes, so that every resend is identical.
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
            Mark::Event { .. } | Mark::Message { .. } | Mark::Episode { .. } => {}
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
            if let Some(fact) = &envelope.idempotency_key {
                let identity = event_identity(&envelope.event_type, &envelope.aggregate(), fact);
                check_identity(&identity)?;
                if !facts.insert(identity) {
                    return Err(BuildError::FactTwice {
                        event_type: envelope.event_type.to_string(),
                        key: fact.to_string(),
                    });
                }
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
        let in_series = self.in_series.map(|(mut rows, numbered)| {
            rows.begins_at = writes.len();
            writes.extend(numbered);
            rows
        });
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
        let prepared = Prepared {
            token,
            writes,
            in_series,
        };
        Ok((prepared, self.events))
    }
}

/// An estimate, never too low, of the bytes that DynamoDB counts for an item
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>, read 2026-11-28).
fn bytes_of(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + bytes_of_value(value))
        .sum()
}

fn bytes_of_value(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(_) => 1,
        // The largest size of a number.
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

fn row_error(key: &Key) -> impl FnOnce(Error) -> BuildError + use<> {
    let key = key.to_string();
    move |source| BuildError::Row {
        key,
        source: Box::new(source),
    }
}
