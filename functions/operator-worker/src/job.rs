//! The job's pages. A pass first closes unresolved letters whose event was handled meanwhile, 50 a page, and then carries
//! on with each unfinished operation:
//!
//! 1. A page decides on the letters that the operation has taken: handled, by the consumer's evidence; failed again, if
//!    the drainer says so; or still under way.
//! 2. If it has taken letters that are not sent, the page sends them and writes that they are sent. A crash between the
//!    two sends them again, and the consumer's evidence makes that harmless.
//! 3. Otherwise it takes the next letters: at most [`AT_ONCE`], and at most the rate. What waits for a letter of its
//!    aggregate is put aside.
//!
//! An operation that is about the event log has pages of its own: a replay those of [`crate::replay`], a republication those of
//! [`crate::republish`].
//!
//! Every page reads the operation's status anew, so a pause or a cancellation takes effect with the next page.
//!
//! Before its own work, a page has Lambda do what is wished about consumers, if that was not done lately: a pass over a long
//! operation takes many runs, and what is paused must stay paused meanwhile.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    BEFORE_IT_BEGAN, Failure,
    schedule::{self, Next, Paged},
};
use events::{
    Envelope, OperationId, Text, Timestamp,
    contracts::operation::{LetterCriteria, OperationAct, OperationChange, OperationStatus},
};
use evidence::{CheckedConsumer, ProofStatus, checked_consumers};
use futures::future::try_join_all;
use letters::{
    Body, Letter, LetterId, LetterState, Letters, Operation, Operations,
    operation::{By, Progress, Taken, Unfinished},
    operations::can_take,
};
use mappings::Mappings;
use outbox::{
    BuildError, Entity, Error, Outbox, Publisher, Transaction,
    relay::{Relay, Settings},
};
use serde::{Deserialize, Serialize};
use telemetry::metrics::{Counter, Metrics};
use topology::LANE_RETENTION;

use crate::{
    config::Config,
    lanes::{Lanes, SentBy, queue_of},
    replay::{self, Replay},
    republish::Republish,
    wishes::Wishes,
};

/// How many unresolved letters a page looks at.
const LOOKED_AT: u32 = 50;

/// How many letters a page takes and sends at most.
pub const AT_ONCE: usize = 10;

/// How many letters a page discards.
const DISCARDED_AT_ONCE: usize = 40;

/// How many letters a page writes at most: with what else it writes, fewer than a transaction can have.
const WRITTEN_AT_ONCE: usize = 60;

/// How many letters of an operation can be under way at once.
const IN_FLIGHT: usize = 100;

/// How many letters can wait for others of their aggregate. More are looked at once some of them are taken.
const WAITING: usize = 100;

/// How many letters that an operation has taken are decided in one page.
const DECIDED_AT_ONCE: usize = 30;

/// How long an operation waits between two pages in which nothing happened, and how often, before the next one's turn.
const IDLE: Duration = Duration::from_secs(1);
const IDLE_PAGES: u8 = 5;

/// How many pages of a replay or a republication are a turn. It can last for days, and letters and other operations do not wait for it.
const REPLAY_PAGES: u8 = 20;

/// The longest pause that a page waits for. What rests for longer comes again in the next pass.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// How long a page of a republication publishes: a page has 10 seconds in all.
const PUBLISHING: Duration = Duration::from_secs(3);

/// How many letters that it has sent an instance remembers.
const REMEMBERED: usize = 1_000;

/// Where a pass goes on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Place {
    /// With the unresolved letters after this cursor's text.
    Closing {
        /// The cursor.
        after: String,
        /// How many unresolved letters each consumer has among those looked at.
        open: BTreeMap<String, u64>,
    },
    /// With this operation.
    Operation {
        /// The operation.
        id: OperationId,
        /// How many pages in a row nothing happened; of what is about the event log, how many pages of its turn are done.
        idle: u8,
    },
    /// With the operation after this one.
    After {
        /// The operation whose turn is over, if there was one.
        id: Option<OperationId>,
    },
    /// With the first unresolved letter again: every operation had its turn, and one about the event log is not through.
    Again,
}

/// A letter, the operation that sent it, and how often it had been parked.
type Sending = (LetterId, OperationId, u32);

/// The job `operator-worker`.
pub struct Redrive {
    outbox: Outbox,
    lanes: Arc<dyn Lanes>,
    wishes: Wishes,
    relay: Relay,
    config: Config,
    consumers: BTreeMap<&'static str, CheckedConsumer>,
    /// The letters that this instance has sent, for whom, and how often they had been parked: a page that is decided again
    /// after a conflict does not send them again. It only saves repeated work.
    sent: Mutex<BTreeSet<Sending>>,
}

impl std::fmt::Debug for Redrive {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redrive").finish_non_exhaustive()
    }
}

/// A letter that is to be written in this page.
struct Changed {
    entity: Entity<Letter>,
    letter: Letter,
}

impl Redrive {
    /// The job over its tables, lanes, mappings and bus.
    ///
    /// # Errors
    /// [`BuildError::NoLog`] when the outbox has no event log.
    pub fn new(
        outbox: Outbox,
        lanes: Arc<dyn Lanes>,
        mappings: Arc<dyn Mappings>,
        bus: Arc<dyn Publisher>,
        config: Config,
    ) -> Result<Self, BuildError> {
        let consumers = checked_consumers().into_iter();
        let settings = Settings {
            budget: PUBLISHING,
            ..Settings::default()
        };
        let events = outbox.events_table()?.clone();
        let (store, clock) = (outbox.shared_store(), Arc::clone(outbox.clock()));
        let relay = Relay::new(bus, store, events, clock, settings);
        Ok(Self {
            wishes: Wishes::new(outbox.clone(), mappings, config.clone()),
            outbox,
            lanes,
            relay,
            config,
            consumers: consumers.map(|one| (one.name, one)).collect(),
            sent: Mutex::default(),
        })
    }

    fn operations(&self) -> Operations<'_> {
        Operations {
            outbox: &self.outbox,
            table: &self.config.letters,
        }
    }

    fn sent(&self) -> MutexGuard<'_, BTreeSet<Sending>> {
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn entity(&self, id: &LetterId) -> Result<Entity<Letter>, Error> {
        self.outbox.load(&self.config.letters, id.as_str()).await
    }

    async fn envelope(&self, id: &LetterId) -> Result<Option<Envelope>, Error> {
        let body: Option<Body> = self
            .outbox
            .row(&Body::key(&self.config.letters, id))
            .await?;
        Ok(body.as_ref().and_then(Body::envelope))
    }

    /// Whether the consumer's evidence shows that it has handled the letter's event.
    async fn is_handled(&self, letter: &Letter) -> Result<bool, Error> {
        let Some(consumer) = self.consumers.get(letter.consumer.as_str()) else {
            return Ok(false);
        };
        if letter.event_id.is_none() {
            return Ok(false);
        }
        let Some(envelope) = self.envelope(&letter.letter_id).await? else {
            return Ok(false);
        };
        // An event that the consumer cannot accept has no evidence.
        let Ok(Some(proof)) = consumer.proof(&envelope, &self.config.evidence) else {
            return Ok(false);
        };
        let item = self.outbox.store().get(proof.key()).await?;
        Ok(proof.status(item.as_ref()) == ProofStatus::Handled)
    }

    /// Closes the unresolved letters of a page whose event was handled. Letters that an operation has taken are left to it.
    async fn close(
        &self,
        mut transaction: Transaction,
        after: Option<&str>,
        mut open: BTreeMap<String, u64>,
    ) -> Result<Paged<Place>, Failure> {
        let after = replay::cursor(after)?;
        let limit = usize::try_from(LOOKED_AT).unwrap_or(usize::MAX);
        let letters = Letters {
            outbox: &self.outbox,
            table: &self.config.letters,
        };
        let (page, next) = letters
            .page(&LetterCriteria::default(), limit, after)
            .await?;
        let looked_at =
            try_join_all(page.iter().map(|listed| self.look(&listed.letter_id))).await?;
        let mut closed = 0;
        for (entity, is_handled) in looked_at {
            let Some(letter) = entity.state().filter(|letter| letter.state.is_unresolved()) else {
                continue;
            };
            if is_handled && let Ok(handled) = letter.handled(transaction.now()) {
                transaction.update(&entity, &handled, Vec::new())?;
                closed += 1;
            } else {
                *open.entry(letter.consumer.clone()).or_default() += 1;
            }
        }
        let next = match next {
            Some(next) => Place::Closing {
                after: next.to_text(),
                open,
            },
            None => {
                self.tell(&open);
                Place::After { id: None }
            }
        };
        Ok(Paged::new(transaction, Next::From(next)).count("closed", closed))
    }

    /// A letter, and whether it can be closed because its event was handled. The index can be behind, and only the row
    /// itself has the version.
    async fn look(&self, id: &LetterId) -> Result<(Entity<Letter>, bool), Error> {
        let entity = self.entity(id).await?;
        let is_handled = match entity.state() {
            Some(letter) if letter.state.is_unresolved() && letter.taken_by().is_none() => {
                self.is_handled(letter).await?
            }
            _ => false,
        };
        Ok((entity, is_handled))
    }

    /// A letter that an operation has taken, and whether its event was handled.
    async fn look_at_taken(&self, id: &LetterId) -> Result<(Entity<Letter>, bool), Error> {
        let entity = self.entity(id).await?;
        let is_handled = match entity.state() {
            Some(letter) if letter.taken_by().is_some() => self.is_handled(letter).await?,
            _ => false,
        };
        Ok((entity, is_handled))
    }

    /// Emits how many letters each consumer has. A consumer without any has no metric: a custom metric costs by the hour
    /// in which it is emitted.
    fn tell(&self, open: &BTreeMap<String, u64>) {
        for (consumer, count) in open {
            Metrics::for_consumer(self.config.stack.as_str(), consumer.as_str())
                .count(Counter::DeadLettersOpen, *count)
                .flush();
        }
    }

    /// Whose turn is next.
    async fn turn(
        &self,
        transaction: Transaction,
        after: Option<OperationId>,
    ) -> Result<Paged<Place>, Failure> {
        let unfinished = self.operations().unfinished().await?;
        let after = after.map(|id| id.to_string());
        let is_next = |id: &&OperationId| {
            let id = id.to_string();
            after.as_ref().is_none_or(|after| id > *after)
        };
        let next = unfinished.iter().find(is_next).copied();
        let next = match next {
            Some(id) => Next::From(Place::Operation { id, idle: 0 }),
            None if self.is_walking(&unfinished).await? => Next::From(Place::Again),
            None => Next::End,
        };
        Ok(Paged::new(transaction, next))
    }

    /// Whether one of these operations is about the event log and running. It would wait for the schedule if the pass ended.
    async fn is_walking(&self, unfinished: &[OperationId]) -> Result<bool, Error> {
        for id in unfinished {
            let operation = self.operations().operation(*id).await?;
            let is_running = |one: &Operation| {
                let walks = one.replay().is_some() || one.republish().is_some();
                walks && one.status() == OperationStatus::Running
            };
            if !operation.state().is_some_and(is_running) {
                continue;
            }
            let progress = self.operations().progress(*id).await?;
            let pause = progress.state().and_then(|one| self.pause(one));
            if pause.is_none_or(|pause| pause <= LONGEST_PAUSE) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// A page of an operation.
    async fn carry_on(
        &self,
        mut transaction: Transaction,
        id: OperationId,
        idle: u8,
    ) -> Result<Paged<Place>, Failure> {
        let over = Next::From(Place::After { id: Some(id) });
        let operations = self.operations();
        let progress = operations.progress(id).await?;
        let walks = progress.state().is_some_and(|one| one.replay.is_some());
        if idle > 0 && !walks {
            self.outbox.clock().sleep(IDLE).await;
        }
        if let Some(pause) = progress.state().and_then(|one| self.pause(one)) {
            if pause > LONGEST_PAUSE {
                return Ok(Paged::new(transaction, over));
            }
            self.outbox.clock().sleep(pause).await;
        }
        // The status is read after the pause, so that it is as new as can be.
        let operation = operations.operation(id).await?;
        let (Some(state), Some(before)) = (operation.state(), progress.state()) else {
            transaction.delete(
                Unfinished::key(&self.config.letters, id),
                outbox::Condition::Present,
            );
            return Ok(Paged::new(transaction, over).note(format!("operation {id} has no row")));
        };
        if let Some(selection) = state.replay() {
            let replay = Replay {
                outbox: &self.outbox,
                lanes: &*self.lanes,
                deployment: &self.config.deployment,
                operation: state,
                selection,
            };
            // The pause may have been long: the transaction is older than it.
            let page = replay.page(before, self.outbox.clock().now()).await?;
            return self.walked(transaction, (&operation, &progress), page, idle);
        }
        if let Some(selection) = state.republish() {
            let republish = Republish {
                outbox: &self.outbox,
                relay: &self.relay,
                operation: state,
                selection,
            };
            let page = republish.page(before, self.outbox.clock().now()).await?;
            return self.walked(transaction, (&operation, &progress), page, idle);
        }
        let mut step = Step {
            job: self,
            operation: state,
            now: transaction.now(),
            progress: before.clone(),
            changed: Vec::new(),
            counts: BTreeMap::new(),
            canary_failed: false,
        };
        step.decide_taken().await?;
        match state.status() {
            OperationStatus::Running if !step.canary_failed => {
                if !step.send().await? {
                    step.take().await?;
                }
            }
            OperationStatus::Cancelled => step.release().await?,
            OperationStatus::Running | OperationStatus::Paused | OperationStatus::Finished => {}
        }
        let is_over = step.is_over();
        let Step {
            progress: after,
            changed,
            counts,
            canary_failed,
            ..
        } = step;
        let happened = !changed.is_empty() || after != *before;
        for one in &changed {
            transaction.update(&one.entity, &one.letter, Vec::new())?;
        }
        if happened {
            transaction.update(&progress, &after, Vec::new())?;
        }
        let next_version = operation.next_version()?;
        let next = if is_over {
            if let Ok(finished) = state.finish(after.counts, next_version, transaction.now()) {
                finished.save(&mut transaction, &operation)?;
            }
            let row = Unfinished::key(&self.config.letters, id);
            transaction.delete(row, outbox::Condition::Present);
            over
        } else if canary_failed && state.status() == OperationStatus::Running {
            let by = By {
                reason: Text::new("canary failed")?,
                actor: None,
                key_owner: None,
            };
            let paused = state.change(OperationChange::Paused, by, next_version, transaction.now());
            if let Ok(paused) = paused {
                paused.save(&mut transaction, &operation)?;
            }
            over
        } else if happened {
            Next::From(Place::Operation { id, idle: 0 })
        } else if state.status() == OperationStatus::Running && idle < IDLE_PAGES {
            Next::From(Place::Operation { id, idle: idle + 1 })
        } else {
            over
        };
        let page = Paged::new(transaction, next);
        Ok(counts
            .into_iter()
            .fold(page, |page, (name, count)| page.count(name, count)))
    }

    /// Writes what a page of a walk over the event log did.
    fn walked(
        &self,
        mut transaction: Transaction,
        (operation, progress): (&Entity<Operation>, &Entity<Progress>),
        page: replay::Page,
        turn: u8,
    ) -> Result<Paged<Place>, Failure> {
        if progress.state() != Some(&page.progress) {
            transaction.update(progress, &page.progress, Vec::new())?;
        }
        let (version, now) = (operation.next_version()?, transaction.now());
        let Some(state) = operation.state() else {
            return Err(Failure::retry("an operation is gone"));
        };
        let id = state.operation_id();
        let changed = match page.end {
            replay::End::Over => {
                let row = Unfinished::key(&self.config.letters, id);
                transaction.delete(row, outbox::Condition::Present);
                state.finish(page.progress.counts, version, now).ok()
            }
            replay::End::Paused(why) => {
                let by = By {
                    reason: Text::new(why)?,
                    actor: None,
                    key_owner: None,
                };
                state.change(OperationChange::Paused, by, version, now).ok()
            }
            replay::End::Rests | replay::End::GoesOn => None,
        };
        if let Some(changed) = changed {
            changed.save(&mut transaction, operation)?;
        }
        let next = if page.end == replay::End::GoesOn && turn + 1 < REPLAY_PAGES {
            Place::Operation { id, idle: turn + 1 }
        } else {
            Place::After { id: Some(id) }
        };
        let done = Paged::new(transaction, Next::From(next));
        let counts = page.counts.into_iter();
        Ok(counts.fold(done, |done, (name, count)| done.count(name, count)))
    }

    /// How long to wait until the rate allows the next letters.
    fn pause(&self, progress: &Progress) -> Option<Duration> {
        let pause = progress.not_before?.since(self.outbox.clock().now());
        (!pause.is_zero()).then_some(pause)
    }
}

/// A page of an operation while it is decided.
struct Step<'a> {
    job: &'a Redrive,
    operation: &'a Operation,
    now: Timestamp,
    progress: Progress,
    changed: Vec<Changed>,
    counts: BTreeMap<&'static str, u64>,
    canary_failed: bool,
}

impl Step<'_> {
    fn id(&self) -> OperationId {
        self.operation.operation_id()
    }

    fn count(&mut self, name: &'static str) {
        *self.counts.entry(name).or_default() += 1;
    }

    fn write(&mut self, entity: Entity<Letter>, letter: Letter) {
        self.changed.push(Changed { entity, letter });
    }

    /// Looks at the letters that the operation has taken: what is decided is counted and no longer in flight.
    async fn decide_taken(&mut self) -> Result<(), Failure> {
        let taken = std::mem::take(&mut self.progress.in_flight);
        let looks = taken
            .iter()
            .map(|one| self.job.look_at_taken(&one.letter_id));
        let looked_at = try_join_all(looks).await?;
        let mut decided = 0;
        for (one, (entity, is_handled)) in taken.into_iter().zip(looked_at) {
            if decided < DECIDED_AT_ONCE && self.decide_one(&one, entity, is_handled) {
                decided += 1;
            } else {
                self.progress.in_flight.push(one);
            }
        }
        Ok(())
    }

    /// Whether a letter that the operation has taken is decided.
    fn decide_one(&mut self, one: &Taken, entity: Entity<Letter>, is_handled: bool) -> bool {
        let Some(letter) = entity.state() else {
            // It has expired.
            self.progress.counts.skipped += 1;
            return true;
        };
        if letter.taken_by() != Some(self.id()) {
            // The drainer has it back, or it was handled after it came back; somebody may have taken it since.
            if letter.state == LetterState::Handled {
                self.handled();
            } else {
                // It came back before it was written down that it was sent.
                self.progress.counts.redriven += u32::from(!one.sent);
                self.failed_again();
            }
            return true;
        }
        if is_handled && let Ok(handled) = letter.handled(self.now) {
            // It may have been handled in another way before it was sent.
            let is_sent = one.sent || self.job.sent().contains(&self.sending(letter));
            self.progress.counts.redriven += u32::from(is_sent && !one.sent);
            self.write(entity, handled);
            self.handled();
            return true;
        }
        let is_silent = letter
            .sent_at
            .is_some_and(|sent_at| self.now.since(sent_at) > LANE_RETENTION);
        if is_silent && let Ok(given_up) = letter.given_up(self.now) {
            self.write(entity, given_up);
            self.failed_again();
            return true;
        }
        false
    }

    fn handled(&mut self) {
        self.progress.counts.handled += 1;
        self.progress.canary_passed = true;
        self.count("handled");
    }

    fn failed_again(&mut self) {
        self.progress.counts.failed_again += 1;
        self.count("failed_again");
        if self.operation.canary() && !self.progress.canary_passed {
            self.canary_failed = true;
        }
    }

    /// Sends the letters that are taken and unsent. Returns whether there were any.
    async fn send(&mut self) -> Result<bool, Failure> {
        let mut sent: u32 = 0;
        let taken = self.progress.in_flight.clone();
        for one in taken {
            if self
                .changed
                .iter()
                .any(|done| done.letter.letter_id == one.letter_id)
            {
                continue;
            }
            let entity = self.job.entity(&one.letter_id).await?;
            let Some(letter) = entity.state() else {
                continue;
            };
            if letter.taken_by() != Some(self.id()) || !letter.is_unsent() {
                continue;
            }
            if self.send_one(letter).await? {
                let letter = letter.sent(self.now);
                self.write(entity, letter);
                for taken in &mut self.progress.in_flight {
                    taken.sent |= taken.letter_id == one.letter_id;
                }
                self.progress.counts.redriven += 1;
                self.count("redriven");
                sent += 1;
            } else {
                let released = letter.released(self.now).map_err(Failure::park)?;
                self.progress
                    .in_flight
                    .retain(|taken| taken.letter_id != one.letter_id);
                self.write(entity, released);
                self.progress.counts.skipped += 1;
                self.count("skipped");
            }
        }
        if sent > 0 {
            let span = Duration::from_secs(1) * sent / self.operation.rate_per_second().max(1);
            self.progress.not_before = Some(self.now.plus(span));
        }
        Ok(sent > 0)
    }

    /// Sends a letter to its consumer. False if it cannot be sent: its body is gone or cut, or its consumer is not
    /// deployed.
    async fn send_one(&self, letter: &Letter) -> Result<bool, Failure> {
        let key = Body::key(&self.job.config.letters, &letter.letter_id);
        let body: Option<Body> = self.job.outbox.row(&key).await?;
        let Some(event) = body.as_ref().and_then(Body::event_json) else {
            return Ok(false);
        };
        let priority = body
            .as_ref()
            .and_then(Body::envelope)
            .map(|one| one.priority);
        let deployment = &self.job.config.deployment;
        let Some(queue) = queue_of(deployment, &letter.consumer, priority) else {
            return Ok(false);
        };
        let this = self.sending(letter);
        if self.job.sent().contains(&this) {
            return Ok(true);
        }
        // A letter of the first replay of what was before its consumer began is still part of it.
        let attributes = body.as_ref().map(|body| &body.attributes);
        let first = attributes.and_then(|attributes| attributes.get(BEFORE_IT_BEGAN));
        let by = SentBy {
            operation_id: self.id(),
            first_replay: first.and_then(|text| text.parse().ok()),
        };
        self.job.lanes.send(&queue, event, by).await?;
        let mut sent = self.job.sent();
        if sent.len() >= REMEMBERED {
            sent.clear();
        }
        sent.insert(this);
        Ok(true)
    }

    /// What the instance remembers about the sending of a letter.
    fn sending(&self, letter: &Letter) -> Sending {
        (letter.letter_id.clone(), self.id(), letter.parked)
    }

    /// Takes the next letters: first those that waited, then the next ones of the selection.
    async fn take(&mut self) -> Result<(), Failure> {
        let is_canary = self.operation.canary()
            && !self.progress.canary_passed
            && self.operation.act() == OperationAct::Redrive;
        let rate = usize::try_from(self.operation.rate_per_second()).unwrap_or(usize::MAX);
        let most = match self.operation.act() {
            OperationAct::Discard | OperationAct::Edit => DISCARDED_AT_ONCE,
            OperationAct::Redrive if is_canary => usize::from(self.progress.in_flight.is_empty()),
            OperationAct::Redrive => rate.min(AT_ONCE),
            OperationAct::Replay | OperationAct::Republish => 0,
        };
        let room = IN_FLIGHT.saturating_sub(self.progress.in_flight.len());
        let mut left = most.min(room);
        let waiting = std::mem::take(&mut self.progress.waiting);
        for one in waiting {
            if left == 0 || self.must_wait(one.lot.as_deref()) {
                self.progress.waiting.push(one);
            } else if self.take_one(&one.letter_id).await? {
                left -= 1;
            }
        }
        while left > 0 && self.progress.position < self.operation.count() {
            let position = self.progress.position;
            let ids = self
                .job
                .operations()
                .from_position(self.id(), position)
                .await?;
            if ids.is_empty() {
                // The page has expired: what is left of the selection cannot be known.
                let lost = self.operation.count() - position;
                self.progress.counts.skipped += lost;
                self.progress.position = self.operation.count();
                break;
            }
            for id in ids {
                if left == 0 || self.progress.waiting.len() >= WAITING {
                    return Ok(());
                }
                if self.take_one(&id).await? {
                    left -= 1;
                }
                self.progress.position += 1;
            }
        }
        Ok(())
    }

    /// Whether a letter of this consumer and aggregate is ahead.
    fn must_wait(&self, lot: Option<&str>) -> bool {
        let in_flight = self.progress.in_flight.iter();
        let mut ahead = in_flight.chain(&self.progress.waiting);
        lot.is_some() && ahead.any(|one| one.lot.as_deref() == lot)
    }

    /// Takes a letter, puts it aside because its aggregate is under way, or leaves it alone. Returns whether it was taken.
    async fn take_one(&mut self, id: &LetterId) -> Result<bool, Failure> {
        let entity = self.job.entity(id).await?;
        let by = self.id();
        let Some(letter) = entity
            .state()
            .filter(|letter| can_take(self.operation.act(), letter))
        else {
            self.skipped();
            return Ok(false);
        };
        if self.operation.act() == OperationAct::Discard {
            return Ok(
                match letter.discarded(by, self.operation.reason(), self.now) {
                    Ok(discarded) => {
                        self.write(entity, discarded);
                        self.progress.counts.discarded += 1;
                        self.count("discarded");
                        true
                    }
                    Err(_) => {
                        self.skipped();
                        false
                    }
                },
            );
        }
        let lot = lot(letter);
        if self.must_wait(lot.as_deref()) {
            let letter_id = id.clone();
            self.progress.waiting.push(Taken {
                letter_id,
                lot,
                sent: false,
            });
            return Ok(false);
        }
        let Ok(claimed) = letter.claimed(by, self.now) else {
            self.skipped();
            return Ok(false);
        };
        self.write(entity, claimed);
        let letter_id = id.clone();
        self.progress.in_flight.push(Taken {
            letter_id,
            lot,
            sent: false,
        });
        self.count("taken");
        Ok(true)
    }

    fn skipped(&mut self) {
        self.progress.counts.skipped += 1;
        self.count("skipped");
    }

    /// Gives back what a cancelled operation has taken, and leaves alone what it has not taken. A letter that is sent can
    /// still be handled, and is then closed like any other; nobody has to wait for it before taking it anew, because the
    /// consumer's evidence makes a second sending harmless.
    async fn release(&mut self) -> Result<(), Failure> {
        for one in std::mem::take(&mut self.progress.in_flight) {
            let entity = self.job.entity(&one.letter_id).await?;
            let letter = entity.state();
            let letter = letter.filter(|letter| letter.taken_by() == Some(self.id()));
            let was_unsent = letter.is_some_and(Letter::is_unsent);
            let has_room = self.changed.len() < WRITTEN_AT_ONCE;
            match letter.map(|letter| letter.released(self.now)) {
                Some(Ok(released)) if has_room => {
                    self.write(entity, released);
                    if was_unsent {
                        self.skipped();
                    }
                }
                _ => self.progress.in_flight.push(one),
            }
        }
        let waiting = u32::try_from(self.progress.waiting.len()).unwrap_or(u32::MAX);
        let rest = self
            .operation
            .count()
            .saturating_sub(self.progress.position);
        self.progress.waiting.clear();
        self.progress.position = self.operation.count();
        let skipped = self.progress.counts.skipped;
        self.progress.counts.skipped = skipped.saturating_add(waiting).saturating_add(rest);
        Ok(())
    }

    /// Whether each letter is decided or left alone.
    fn is_over(&self) -> bool {
        let progress = &self.progress;
        progress.in_flight.is_empty()
            && progress.waiting.is_empty()
            && progress.position >= self.operation.count()
    }
}

/// The same for letters of one consumer and one aggregate.
fn lot(letter: &Letter) -> Option<String> {
    let aggregate = letter.aggregate.as_ref()?;
    Some(letters::Signature::id_of(&[
        letter.consumer.as_str(),
        aggregate,
    ]))
}

#[async_trait]
impl schedule::Job for Redrive {
    // The job's lease and its pages' marks contain this name: never rename it.
    const NAME: &'static str = topology::functions::operator_worker::FUNCTION.name;
    type Cursor = Place;

    async fn has_work(&self, _: Timestamp) -> Result<bool, Failure> {
        let letters = Letters {
            outbox: &self.outbox,
            table: &self.config.letters,
        };
        let (unresolved, next) = letters.page(&LetterCriteria::default(), 1, None).await?;
        Ok(!unresolved.is_empty() || next.is_some() || self.operations().is_work_left().await?)
    }

    async fn page(
        &self,
        cursor: Option<&Place>,
        mut transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let done = self.wishes.fulfil(&mut transaction).await?;
        let page = match cursor {
            None => self.close(transaction, None, BTreeMap::new()).await,
            Some(Place::Closing { after, open }) => {
                self.close(transaction, Some(after), open.clone()).await
            }
            Some(Place::Again) => self.close(transaction, None, BTreeMap::new()).await,
            Some(Place::After { id }) => self.turn(transaction, *id).await,
            Some(Place::Operation { id, idle }) => self.carry_on(transaction, *id, *idle).await,
        };
        page.map(|page| done.told_by(page))
    }
}

#[cfg(test)]
mod tests;
