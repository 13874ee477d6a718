//! Replays: events of the event log sent to one consumer again, and to no other.
//!
//! A replay is an operation whose selection is a filter. It is read from the log page by page: an aggregate in its order,
//! everything else by a walk over the whole log, which has no order. The consumer's own evidence makes harmless what it has
//! handled already. The rules here are about what the evidence cannot tell:
//!
//! * A version guard and a cursor never expire. Such a consumer can get any event. To one that keeps an order, each is a
//!   wake-up, and each is sent: an aggregate that waits for a parked event goes on only with the message of that event.
//! * A mark expires. A missing mark proves nothing about an event that is older than [`KNOWN_WHEN_SENT`]: it is not sent.
//! * What was before the consumer began is the exception. What the bus had published by then can have reached the consumer
//!   only by a replay, and [`Before`] says since when there was one. Until the marks of that can have expired, a missing mark
//!   proves that such an event was not handled. So all of it can be replayed, once, and only within that time.

use std::time::Duration;

use events::{
    ConsumerName, Evidence, OperationId, Priority, Registry, Selection, Text, Timestamp,
    contracts::operation::{FirstReplay, OperationAct, OperationStatus, ReplaySelection},
};
use outbox::{
    BuildError, Entity, Error, Key, Outbox, REPEATS_KNOWN, State, Table, Transaction, log::LogRow,
};
use serde::{Deserialize, Serialize};

use crate::{
    Operation, Operations,
    operation::{Begin, By, Progress, ReplayProgress, Replaying},
    operations::{Refusal, Stopped},
};

/// How old an event can be that is sent to a consumer by mark. After that, a missing mark does not prove that the event was
/// not handled. A day is left for its way through the lane.
pub const KNOWN_WHEN_SENT: Duration =
    REPEATS_KNOWN.saturating_sub(Duration::from_secs(24 * 60 * 60));

/// How many rows of the log a replay reads in a second at most, whatever its rate: as many as `millrace republish`.
pub const ROWS_PER_SECOND: u32 = 200;

/// How many events of an aggregate are counted at most before a replay begins.
const MOST_COUNTED: u32 = 5_000;

/// How many rows of an aggregate are read in one call.
const COUNTED_AT_ONCE: u32 = 100;

/// Which events are wanted, for which consumer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedReplay {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Type and id of the aggregate that they are about.
    pub aggregate: Option<(Text<256>, Text<1024>)>,
    /// Their types; `None` for all to which the consumer listens.
    pub event_types: Option<Vec<Text<256>>>,
    /// Committed at this time or later.
    pub from: Option<Timestamp>,
    /// Committed before this time; `None` for now.
    pub to: Option<Timestamp>,
    /// All that was before the consumer began, and nothing else.
    pub before_it_began: bool,
}

/// What replays have sent to a consumer of what was before it began: a row beside the consumer's state. Only a consumer by
/// mark has one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Before {
    /// When the consumer began, as it was first seen. Its lanes can be made anew later; that is no beginning.
    pub began: Timestamp,
    /// When a replay was begun that could send events from before that, for the first time.
    pub since: Timestamp,
    /// The last operation that replays all that was before, if there was one. Its progress says how far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation_id: Option<OperationId>,
}

impl State for Before {
    // It has no events: `operation.begun` tells of it. The outbox guards the row's version.
    const AGGREGATE: &'static str = "consumer_before";

    fn key(table: &Table, id: &str) -> Key {
        table.key(format!("consumer#{id}"), "before")
    }
}

/// What becomes of a row of the log in a replay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It does not fit.
    Outside,
    /// It fits, and the consumer does not listen to it.
    PassedOver,
    /// It fits, and is too old: a missing mark would not prove that it was not handled.
    TooOld,
    /// It is sent.
    Send {
        /// The priority, which decides the lane.
        priority: Priority,
        /// Present if it is part of the first replay of what was before the consumer began.
        first: Option<FirstReplay>,
    },
}

/// From when on an event can have occurred that is sent to a consumer by mark.
#[must_use]
pub fn possible_from(now: Timestamp) -> Timestamp {
    now.minus(KNOWN_WHEN_SENT)
}

/// Whether a row fits, whoever listens to it.
fn fits(of: &ReplaySelection, row: &LogRow) -> bool {
    let in_time = of.from.is_none_or(|from| row.committed_at >= from) && row.committed_at < of.to;
    let of_type = of
        .event_types
        .as_ref()
        .is_none_or(|types| types.iter().any(|one| one.as_str() == row.event_type));
    let of_aggregate = aggregate(of).is_none_or(|aggregate| aggregate == row.aggregate);
    in_time && of_type && of_aggregate
}

/// The aggregate that a replay is about, `type#id`, if it is about one.
#[must_use]
pub fn aggregate(of: &ReplaySelection) -> Option<String> {
    let (kind, id) = of.aggregate_type.as_ref().zip(of.aggregate_id.as_ref())?;
    Some(format!("{kind}#{id}"))
}

/// What becomes of a row of the log at a time. `listened` is what the consumer listens to.
#[must_use]
pub fn verdict(of: &ReplaySelection, listened: Selection, row: &LogRow, now: Timestamp) -> Verdict {
    if !fits(of, row) {
        return Verdict::Outside;
    }
    let Some(evidence) = listened.evidence(&row.event_type) else {
        return Verdict::PassedOver;
    };
    // A row that is no envelope is found by the audit. No consumer could read it.
    let Ok(envelope) = Registry::read(row.envelope_json()) else {
        return Verdict::PassedOver;
    };
    let priority = envelope.priority;
    if evidence != Evidence::Mark {
        let first = None;
        return Verdict::Send { priority, first };
    }
    let occurred_at = envelope.occurred_at;
    // What was published when the consumer was there can have come by the bus: its mark can be older than the first replay.
    let first = of.before_it_began.filter(|first| {
        let is_published = row.published_at().is_some_and(|at| at < first.began);
        is_published && occurred_at < first.began && now.since(first.since) <= KNOWN_WHEN_SENT
    });
    if first.is_some() || now.since(occurred_at) <= KNOWN_WHEN_SENT {
        Verdict::Send { priority, first }
    } else {
        Verdict::TooOld
    }
}

/// By which evidence the consumer handles what can fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reach {
    /// Whether some of it is handled by mark.
    pub by_mark: bool,
    /// Whether some of it is handled by guard or cursor.
    pub otherwise: bool,
}

impl Reach {
    /// By which evidence a consumer that listens to this handles what is wanted. `None` if it listens to nothing of it.
    #[must_use]
    pub fn of(wanted: &WantedReplay, listened: Selection) -> Option<Self> {
        let is_wanted = |event_type: &str| {
            let types = wanted.event_types.as_ref();
            types.is_none_or(|types| types.iter().any(|one| one.as_str() == event_type))
        };
        let can_be_about = |event_type: &str| {
            let Some((kind, _)) = &wanted.aggregate else {
                return true;
            };
            let contracts = Registry::shipped_contracts().iter();
            let mut of_type = contracts.filter(|one| one.event_type == event_type);
            of_type.any(|one| one.aggregate_type == kind.as_str())
        };
        let types = listened.types();
        let found: Vec<Evidence> = types
            .iter()
            .filter(|one| is_wanted(one.event_type) && can_be_about(one.event_type))
            .map(|one| one.evidence)
            .collect();
        let by_mark = found.contains(&Evidence::Mark);
        let otherwise = found.iter().any(|one| *one != Evidence::Mark);
        (by_mark || otherwise).then_some(Self { by_mark, otherwise })
    }

    /// Whether it must be known when the consumer began.
    #[must_use]
    pub fn needs_beginning(self, wanted: &WantedReplay) -> bool {
        self.by_mark || wanted.before_it_began
    }
}

/// A replay that can begin.
#[derive(Debug)]
pub struct Ready {
    /// Which events it sends.
    pub selection: ReplaySelection,
    /// Where it begins: not at the log's beginning, if it goes on with a cancelled one.
    pub progress: ReplayProgress,
    /// The row of what was before the consumer began, if it changes.
    before: Option<(Entity<Before>, Before)>,
}

/// How many events a replay of an aggregate would send now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counted {
    /// How many would be sent.
    pub sent: u32,
    /// How many fit, and the consumer does not listen to them.
    pub passed_over: u32,
    /// How many fit, and are too old.
    pub too_old: u32,
}

impl Counted {
    /// Counts a row.
    pub fn add(&mut self, verdict: Verdict) {
        match verdict {
            Verdict::Outside => {}
            Verdict::PassedOver => self.passed_over = self.passed_over.saturating_add(1),
            Verdict::TooOld => self.too_old = self.too_old.saturating_add(1),
            Verdict::Send { .. } => self.sent = self.sent.saturating_add(1),
        }
    }
}

/// Who begins a replay, why, and how fast it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginReplay {
    /// How many events to send in a second at most, 1 to 100.
    pub rate_per_second: u32,
    /// Who and why.
    pub by: By,
    /// The owner of the API key that begins it.
    pub key_owner: Text<256>,
    /// How many events it sends; 0 if that is not known.
    pub count: u32,
}

/// The replays and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Replays<'a> {
    /// Loads the state that decisions are based on, and reads the log.
    pub outbox: &'a Outbox,
    /// The table of letters.
    pub table: &'a Table,
}

impl Replays<'_> {
    fn operations(&self) -> Operations<'_> {
        Operations {
            outbox: self.outbox,
            table: self.table,
        }
    }

    /// Decides whether a replay can begin. Nothing is written. `began`: when the consumer began, if that must be known
    /// ([`Reach::needs_beginning`]); `None` if it has no lane.
    ///
    /// # Errors
    /// [`Refusal::NoEvent`], [`Refusal::NoLane`], [`Refusal::TooOld`], [`Refusal::TooLate`], [`Refusal::ReplayedBefore`];
    /// [`Stopped::Failed`].
    pub async fn ready(
        &self,
        wanted: &WantedReplay,
        listened: Selection,
        began: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<Ready, Stopped> {
        let consumer = wanted.consumer.clone();
        let Some(reach) = Reach::of(wanted, listened) else {
            return Err(Refusal::NoEvent { consumer }.into());
        };
        if reach.needs_beginning(wanted) && began.is_none() {
            return Err(Refusal::NoLane { consumer }.into());
        }
        let (aggregate_type, aggregate_id) = wanted.aggregate.clone().unzip();
        let mut selection = ReplaySelection {
            consumer,
            aggregate_type,
            aggregate_id,
            event_types: wanted.event_types.clone(),
            from: wanted.from,
            to: wanted.to.map_or(now, |to| to.min(now)),
            before_it_began: None,
        };
        let mut progress = ReplayProgress::default();
        let mut before = None;
        if let Some(began) = began.filter(|_| wanted.before_it_began) {
            let entity = self.before(&wanted.consumer).await?;
            let began = entity.state().map_or(began, |row| row.began.min(began));
            selection.to = began.min(now);
            if reach.by_mark {
                let first;
                (first, progress) = self.first(&wanted.consumer, &entity, began, now).await?;
                selection.before_it_began = Some(first);
                before = Some((
                    entity,
                    Before {
                        began: first.began,
                        since: first.since,
                        operation_id: None,
                    },
                ));
            }
        } else if let Some(began) = began {
            self.must_be_young(&selection, reach, now)?;
            let oldest = possible_from(now);
            let reaches_before = selection.from.is_none_or(|from| from < began) && oldest < began;
            if reach.by_mark && reaches_before {
                let entity = self.before(&wanted.consumer).await?;
                if entity.state().is_none() {
                    let row = Before {
                        began,
                        since: now,
                        operation_id: None,
                    };
                    before = Some((entity, row));
                }
            }
        }
        Ok(Ready {
            selection,
            progress,
            before,
        })
    }

    /// What replays have sent to a consumer of what was before it began; the entity is empty if nothing.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn before(&self, consumer: &ConsumerName) -> Result<Entity<Before>, Error> {
        self.outbox.load(self.table, consumer.as_str()).await
    }

    /// Refuses what can only be of events that are too old.
    fn must_be_young(
        &self,
        selection: &ReplaySelection,
        reach: Reach,
        now: Timestamp,
    ) -> Result<(), Refusal> {
        let possible_from = possible_from(now);
        if !reach.by_mark || reach.otherwise || selection.to > possible_from {
            return Ok(());
        }
        Err(Refusal::TooOld {
            consumer: selection.consumer.clone(),
            possible_from,
        })
    }

    /// The replay of all that was before a consumer by mark began, and where it begins.
    async fn first(
        &self,
        consumer: &ConsumerName,
        entity: &Entity<Before>,
        began: Timestamp,
        now: Timestamp,
    ) -> Result<(FirstReplay, ReplayProgress), Stopped> {
        let since = entity.state().map_or(now, |row| row.since);
        let mut progress = ReplayProgress::default();
        if let Some(operation_id) = entity.state().and_then(|row| row.operation_id) {
            let operation = self.operations().operation(operation_id).await?;
            let reached = self.operations().progress(operation_id).await?;
            let status = operation.state().map(Operation::status);
            let reached = reached.state().and_then(|one| one.replay.clone());
            match reached {
                // It was cancelled: what it has sent is left out.
                Some(reached)
                    if status == Some(OperationStatus::Finished) && !reached.is_through =>
                {
                    progress = reached;
                }
                _ => {
                    let consumer = consumer.clone();
                    return Err(Refusal::ReplayedBefore {
                        consumer,
                        operation_id,
                    }
                    .into());
                }
            }
        }
        if now.since(since) > KNOWN_WHEN_SENT {
            return Err(Refusal::TooLate {
                consumer: consumer.clone(),
                since,
                possible_from: possible_from(now),
            }
            .into());
        }
        Ok((FirstReplay { began, since }, progress))
    }

    /// Begins a replay that can begin. It must have been decided in this transaction's own attempt.
    ///
    /// # Errors
    /// [`Refusal::TooManyOperations`]; [`Stopped::Failed`].
    pub async fn begin(
        &self,
        transaction: &mut Transaction,
        ready: Ready,
        begin: BeginReplay,
    ) -> Result<Operation, Stopped> {
        let operations = self.operations();
        operations.must_have_room().await?;
        let operation_id = transaction.uuid().into();
        let is_first = ready.selection.before_it_began.is_some();
        if let Some((entity, row)) = ready.before {
            let row = Before {
                operation_id: is_first.then_some(operation_id),
                ..row
            };
            save_before(transaction, &entity, &row)?;
        }
        let progress = Progress {
            replay: Some(ready.progress),
            ..Progress::default()
        };
        let BeginReplay {
            rate_per_second,
            by,
            key_owner,
            count,
        } = begin;
        let act = OperationAct::Replay;
        let begin = Begin {
            replay: Some(Replaying {
                selection: ready.selection,
                count,
            }),
            ..Begin::about_the_log(operation_id, act, rate_per_second, by, key_owner)
        };
        operations.save_begun(transaction, &begin, &progress).await
    }

    /// Counts what a replay of an aggregate would send now. `None` if it is about no single aggregate, or the aggregate has
    /// more than 5,000 events.
    ///
    /// # Errors
    /// [`Error`] when the log cannot be read.
    pub async fn count(
        &self,
        of: &ReplaySelection,
        listened: Selection,
        now: Timestamp,
    ) -> Result<Option<Counted>, Error> {
        let Some(aggregate) = aggregate(of) else {
            return Ok(None);
        };
        let (mut counted, mut position, mut rows_read) = (Counted::default(), 0, 0);
        loop {
            let read = self
                .outbox
                .rows_after(&aggregate, position, COUNTED_AT_ONCE);
            let (rows, more) = read.await?;
            for row in &rows {
                counted.add(verdict(of, listened, row, now));
                position = row.sequence;
                rows_read += 1;
            }
            if !more {
                return Ok(Some(counted));
            }
            if rows_read >= MOST_COUNTED {
                return Ok(None);
            }
        }
    }
}

fn save_before(
    transaction: &mut Transaction,
    entity: &Entity<Before>,
    row: &Before,
) -> Result<(), BuildError> {
    transaction.update(entity, row, Vec::new())?;
    Ok(())
}

#[cfg(test)]
mod tests;
