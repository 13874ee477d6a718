//! Handles a batch of messages: each message independently, and every message gets an outcome.

use std::{
    num::NonZeroUsize,
    panic::AssertUnwindSafe,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use events::{Cause, DecodeError, Envelope, Evidence, Invalid, Registry, Subscription, Timestamp};
use futures::{FutureExt, StreamExt, stream};
use lru::LruCache;
use outbox::{
    Clock, Decision, Failures, Guarded, Mark, Outbox, Parked, REPEATS_KNOWN,
    group::{self, GroupStore},
    log::LogRow,
};
use serde::Deserialize;

use crate::{
    Class, Delivery, Failure, Finished, Handler, Lane, Letter, Message, Outcome, ParkReason, Queue,
    Received, Settings, Summary,
    config::{ANSWER, JITTER_PERCENT, LAST_READ, MARGIN, UNBEGUN_DELAY},
    in_order::InOrderFailure,
    outcome::is_first,
};

/// How many messages that were returned unbegun an instance remembers.
const REMEMBERED: NonZeroUsize = match NonZeroUsize::new(10_000) {
    Some(number) => number,
    None => NonZeroUsize::MIN,
};

/// Handles a consumer's batches.
pub struct BatchRunner<H> {
    handler: H,
    outbox: Outbox,
    queue: Arc<dyn Queue>,
    settings: Settings,
    unbegun: Mutex<LruCache<String, u32>>,
}

/// The fields that identify an event, read from a body whose other parts can be invalid.
#[derive(Default, Deserialize)]
struct Trace {
    #[serde(default)]
    event_id: Option<String>,
    #[serde(default)]
    event_type: Option<String>,
    #[serde(default)]
    correlation_id: Option<String>,
}

struct Record {
    message: Message,
    envelope: Result<Envelope, Invalid>,
}

/// The context that the records of a batch share.
pub(crate) struct Batch<'a> {
    pub(crate) lane: &'a Lane,
    pub(crate) deadline: Timestamp,
    /// The outbox in which the batch's transactions are committed.
    pub(crate) outbox: Outbox,
    /// Present if the transactions are committed together.
    group: Option<Arc<GroupStore>>,
}

impl Batch<'_> {
    /// Joins the group commit, if there is one. While the member is held, the commits of other records wait briefly for
    /// this record's commit.
    pub(crate) fn join(&self) -> Option<group::Member<'_>> {
        self.group.as_ref().map(|group| group.join())
    }
}

impl<H: Handler> BatchRunner<H> {
    /// A runner for a handler.
    pub fn new(handler: H, outbox: Outbox, queue: Arc<dyn Queue>, settings: Settings) -> Self {
        Self {
            handler,
            outbox,
            queue,
            settings,
            unbegun: Mutex::new(LruCache::new(REMEMBERED)),
        }
    }

    /// The handler.
    pub fn handler(&self) -> &H {
        &self.handler
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Handles a batch of one lane and returns before the deadline.
    pub async fn run(&self, lane: &Lane, messages: Vec<Message>, deadline: Timestamp) -> Summary {
        let (outbox, group) = if self.settings.group_commit && messages.len() > 1 {
            let (outbox, group) = self.outbox.grouped();
            (outbox, Some(group))
        } else {
            (self.outbox.clone(), None)
        };
        let batch = &Batch {
            lane,
            deadline,
            outbox,
            group,
        };
        let finished = stream::iter(group_copies::<H>(messages))
            .map(|copies| async move {
                // Copies of one event go one after the other, so that the second finds the mark of the first. Events of
                // an aggregate that is handled in order do the same, because concurrent runs would only conflict.
                let mut finished = Vec::with_capacity(copies.len());
                for record in copies {
                    finished.push(self.one(batch, record).await);
                }
                finished
            })
            .buffer_unordered(self.settings.concurrency.max(1))
            .concat()
            .await;
        Summary { finished }
    }

    pub(crate) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(crate) fn clock(&self) -> &dyn Clock {
        &**self.outbox.clock()
    }

    async fn one(&self, batch: &Batch<'_>, record: Record) -> Finished {
        let started = self.clock().now();
        let lane = batch.lane;
        let Record { message, envelope } = record;
        let attempt = self.attempt(&message);
        if batch.deadline.since(started) < self.settings.record_timeout + MARGIN {
            in_time(batch, self.clock(), self.return_unbegun(lane, &message)).await;
            return Finished {
                message_id: message.message_id,
                outcome: Outcome::Unbegun,
                delivery: None,
                took: None,
            };
        }
        let trace = match &envelope {
            Ok(envelope) => Trace {
                event_id: Some(envelope.event_id.to_string()),
                event_type: Some(envelope.event_type.to_string()),
                correlation_id: Some(envelope.correlation_id.to_string()),
            },
            Err(_) => serde_json::from_str(&message.body).unwrap_or_default(),
        };
        let delivery = envelope
            .as_ref()
            .ok()
            .filter(|_| attempt == 1 && message.operation_id.is_none())
            .map(|envelope| Delivery {
                domain: envelope.event_type.domain().to_owned(),
                priority: envelope.priority,
                latency: started.since(envelope.occurred_at),
            });
        let result = match envelope {
            Ok(envelope) => match H::Event::evidence(envelope.event_type.as_str()) {
                Some(Evidence::Cursor) => self.in_order(batch, &envelope, attempt).await,
                evidence => self
                    .handle(batch, envelope, evidence, &message, attempt)
                    .await
                    .map_err(InOrderFailure::from),
            },
            Err(invalid) => Err(Failure::parked_as(ParkReason::Malformed, invalid).into()),
        };
        let (outcome, error) = match result {
            Ok(outcome) => (outcome, None),
            Err(stopped) => {
                let error = stopped.failure.chain();
                let failing = self.fail(lane, &message, &trace, attempt, &stopped, &error);
                // Whatever is not done in time, the message comes back.
                let outcome = in_time(batch, self.clock(), failing).await;
                (outcome.unwrap_or(Outcome::NotParked), Some(error))
            }
        };
        if outcome == Outcome::Continues {
            in_time(batch, self.clock(), self.return_uncounted(lane, &message)).await;
        }
        let took = self.clock().now().since(started);
        log_record(
            H::NAME,
            lane,
            &message,
            &trace,
            attempt,
            outcome,
            took,
            error,
        );
        Finished {
            message_id: message.message_id,
            outcome,
            delivery,
            took: Some(took),
        }
    }

    /// The number of this attempt. Deliveries that this instance returned unbegun do not count.
    fn attempt(&self, message: &Message) -> u32 {
        let mut unbegun = self.unbegun.lock().unwrap_or_else(PoisonError::into_inner);
        let not_counted = unbegun.get(&message.message_id).copied().unwrap_or(0);
        message.receive_count.saturating_sub(not_counted).max(1)
    }

    async fn return_unbegun(&self, lane: &Lane, message: &Message) {
        self.return_uncounted(lane, message).await;
        tracing::info!(
            consumer = H::NAME, lane = lane.name, message_id = %message.message_id, outcome = "unbegun",
            "too little time left to begin"
        );
    }

    /// Makes the message come back soon, without counting this delivery as a failed attempt.
    async fn return_uncounted(&self, lane: &Lane, message: &Message) {
        {
            let mut unbegun = self.unbegun.lock().unwrap_or_else(PoisonError::into_inner);
            let count = unbegun.get(&message.message_id).copied().unwrap_or(0);
            unbegun.put(message.message_id.clone(), count + 1);
        }
        self.hide(lane, message, UNBEGUN_DELAY).await;
    }

    /// Decodes and handles a record within its time limit, and catches a panic.
    async fn handle(
        &self,
        batch: &Batch<'_>,
        envelope: Envelope,
        evidence: Option<Evidence>,
        message: &Message,
        attempt: u32,
    ) -> Result<Outcome, Failure> {
        let mark = Mark::event(H::NAME, &envelope);
        let guarded = evidence == Some(Evidence::Guard);
        // An upcaster is project code, like a handler, so its panic is caught too.
        let decoded = std::panic::catch_unwind(AssertUnwindSafe(|| H::Event::decode(&envelope)));
        let event = match decoded {
            Ok(Ok(event)) => event,
            Ok(Err(error)) => {
                // The message can be a copy of one that newer code has handled.
                let failure = Failure::parked_as(park_reason(&error), error);
                return self
                    .unless_done(&mark, guarded, failure, self.settings.record_timeout)
                    .await;
            }
            Err(panic) => {
                let text = panic_text(&*panic);
                let failure = Failure::retry(format!("decoding panicked: {text}"));
                return self
                    .unless_done(&mark, guarded, failure, self.settings.record_timeout)
                    .await;
            }
        };
        let now = self.clock().now();
        let age = now.since(envelope.occurred_at);
        let first = message.first_replay;
        let is_first = first.is_some_and(|first| is_first(first, envelope.occurred_at, now));
        if !guarded && age > REPEATS_KNOWN && !is_first {
            let days = age.as_secs() / 86_400;
            let text = format!(
                "the event is {days} days old and has no mark: it cannot be told from a repeat"
            );
            let failure = Failure::parked_as(ParkReason::TooOld, text);
            return self
                .unless_done(&mark, guarded, failure, self.settings.record_timeout)
                .await;
        }
        let received = Received {
            envelope,
            event,
            attempt,
            stored: None,
        };
        let (under_way, settling) = (AtomicBool::new(false), AtomicBool::new(false));
        let work = async {
            if guarded {
                self.by_guard(&received, &settling).await
            } else {
                self.by_mark(batch, &received, &mark, &under_way, &settling)
                    .await
            }
        };
        let caught = AssertUnwindSafe(work).catch_unwind();
        let interruption = match tokio::time::timeout(self.settings.record_timeout, caught).await {
            Ok(Ok(handled)) => {
                if handled.is_ok() && attempt > 1 {
                    let event_id = received.envelope.event_id.to_string();
                    self.forget_failures(&event_id).await;
                }
                return handled;
            }
            Ok(Err(panic)) => {
                Failure::retry(format!("the handler panicked: {}", panic_text(&*panic)))
            }
            Err(_) => Failure::too_slow(self.settings.record_timeout),
        };
        if settling.into_inner() {
            return Err(interruption);
        }
        // If the interruption came between the commit and its answer, the message must not be parked as unhandled. The
        // record's time can be used up, so this read and parking must fit into the response margin.
        match self
            .unless_done(&mark, guarded, interruption, LAST_READ)
            .await
        {
            Ok(_) => Err(Failure::too_late()),
            Err(failure) if under_way.into_inner() => Err(failure.undecided()),
            Err(failure) => Err(failure),
        }
    }

    /// Reads the mark before a failure counts: a copy of a handled event is a duplicate, even if the rules reject it
    /// now. If the mark cannot be read, the message is not parked on a guess.
    pub(crate) async fn unless_done(
        &self,
        mark: &Mark,
        guarded: bool,
        failure: Failure,
        limit: Duration,
    ) -> Result<Outcome, Failure> {
        if guarded {
            return Err(failure);
        }
        let (error, unavailable) = match tokio::time::timeout(limit, self.outbox.done(mark)).await {
            Ok(Ok(Some(_))) => return Ok(Outcome::Duplicate),
            Ok(Ok(None)) => return Err(failure),
            Ok(Err(error)) => (outbox::chain(&error), error.is_unavailable()),
            Err(_) => ("reading the mark timed out".to_owned(), true),
        };
        tracing::warn!(
            consumer = H::NAME,
            error,
            "cannot find out whether a failed event was handled before"
        );
        Err(failure.with_unread_mark(unavailable))
    }

    async fn by_guard(
        &self,
        received: &Received<H::Event>,
        settling: &AtomicBool,
    ) -> Result<Outcome, Failure> {
        let put = self.handler.project(received).await?;
        let outcome = match self.outbox.put_guarded(&put).await? {
            Guarded::Applied => Outcome::Done,
            Guarded::Ignored => Outcome::Ignored,
        };
        settling.store(true, Ordering::Relaxed);
        self.handler.after_commit(received).await?;
        Ok(outcome)
    }

    async fn by_mark(
        &self,
        batch: &Batch<'_>,
        received: &Received<H::Event>,
        mark: &Mark,
        under_way: &AtomicBool,
        settling: &AtomicBool,
    ) -> Result<Outcome, Failure> {
        let cause = Cause::event(&received.envelope);
        let decided = {
            let _member = batch.join();
            batch
                .outbox
                .execute_watched(mark, &cause, under_way, |transaction| async move {
                    let decided = self.handler.decide(received, transaction).await?;
                    Ok::<_, Failure>(Decision::<(), ()>::Commit(decided, ()))
                })
                .await
        };
        let outcome = match decided {
            Ok(outbox::Outcome::Committed { .. }) => Outcome::Done,
            Ok(outbox::Outcome::AlreadyDone(_)) => Outcome::Duplicate,
            Ok(outbox::Outcome::Contention | outbox::Outcome::Refused(())) => {
                return Err(Failure::contention());
            }
            // The rules can have changed since a copy of this event was handled.
            Err(failure) => {
                self.unless_done(mark, false, failure, self.settings.record_timeout)
                    .await?
            }
        };
        settling.store(true, Ordering::Relaxed);
        self.handler.after_commit(received).await?;
        Ok(outcome)
    }

    async fn fail(
        &self,
        lane: &Lane,
        message: &Message,
        trace: &Trace,
        attempt: u32,
        stopped: &InOrderFailure,
        error: &str,
    ) -> Outcome {
        let (failure, row) = (&stopped.failure, stopped.row.as_deref());
        // If an event of the log failed, it need not be the message's own.
        let event_id = row
            .map(|row| row.event_id.as_str())
            .or(trace.event_id.as_deref());
        let now = self.clock().now();
        // How long it has been tried: a message that waited in the lane for its consumer has not been.
        let tried_for = now.since(message.first_received_at);
        let is_tried_long = tried_for > self.settings.unavailable_max_age;
        let (class, mut failures) = match failure.class() {
            Class::Unavailable if !is_tried_long => (Class::Unavailable, Failures::default()),
            class => self.failures_so_far(class, event_id).await,
        };
        let early = match class {
            Class::Retry => failures.ahead_of_schedule(now),
            Class::Unavailable | Class::Park(_) => None,
        };
        let counts = match class {
            Class::Park(_) => true,
            Class::Unavailable => is_tried_long,
            Class::Retry => early.is_none(),
        };
        if counts {
            failures.add(error, message.sent_at, now);
        }
        let parks_for = match class {
            Class::Park(reason) => Some(reason),
            Class::Unavailable => is_tried_long.then_some(ParkReason::UnavailableTooLong),
            Class::Retry => {
                // After the last retry of a failure behind its commit, the message still comes back: it finds its mark,
                // and only the work after the commit is left to do.
                let is_last = self.settings.is_last(failures.count) && !failure.is_committed();
                (counts && is_last).then_some(ParkReason::RetriesExhausted)
            }
        };
        if let Some(reason) = parks_for {
            return self
                .park(lane, message, trace, row, reason, error, failures)
                .await;
        }
        let (delay, hidden) = match (class, early) {
            (_, Some(early)) => (early, early),
            (Class::Unavailable, None) => self.jittered(self.settings.delay_after(attempt)),
            (_, None) => self.jittered(self.settings.delay_after(failures.count)),
        };
        if counts && let Some(event_id) = event_id {
            // A queue counts in whole seconds, so the message can come a little earlier.
            failures.due_at = Some(now.plus(hidden - hidden / 5));
            self.note_failures(event_id, &failures).await;
        }
        self.hide(lane, message, hidden).await;
        if class == Class::Unavailable {
            Outcome::Unavailable(delay)
        } else {
            Outcome::Retry(delay)
        }
    }

    /// What the consumer wrote down about an event's earlier failures, and the class of this failure. If it cannot be
    /// read, a retry becomes unavailable: nothing is parked on a guess. What no retry can help is not guessed.
    async fn failures_so_far(&self, class: Class, event_id: Option<&str>) -> (Class, Failures) {
        let Some(event_id) = event_id else {
            return (class, Failures::default());
        };
        match self.outbox.failures(H::NAME, event_id).await {
            Ok(read) => (class, read.unwrap_or_default()),
            Err(unread) => {
                warn_uncounted::<H>(event_id, &unread);
                let class = match class {
                    Class::Retry => Class::Unavailable,
                    Class::Unavailable | Class::Park(_) => class,
                };
                (class, Failures::default())
            }
        }
    }

    /// A delay, and how long the message is hidden for it.
    fn jittered(&self, delay: Duration) -> (Duration, Duration) {
        (delay, self.clock().jittered(delay, JITTER_PERCENT))
    }

    /// Writes down the failed attempts of an event. If this fails, the last attempt does not count.
    async fn note_failures(&self, event_id: &str, failures: &Failures) {
        let noting = self.outbox.put_failures(H::NAME, event_id, failures);
        if let Err(error) = noting.await {
            warn_uncounted::<H>(event_id, &error);
        }
    }

    /// Forgets the failed attempts of an event that is handled now. If this fails, they expire.
    pub(crate) async fn forget_failures(&self, event_id: &str) {
        let forgetting = self.outbox.forget_failures(H::NAME, event_id);
        match tokio::time::timeout(LAST_READ, forgetting).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => warn_uncounted::<H>(event_id, &error),
            Err(_) => tracing::debug!(
                consumer = H::NAME,
                event_id,
                "forgetting failures timed out"
            ),
        }
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "what a dead letter consists of, each part from another place"
    )]
    async fn park(
        &self,
        lane: &Lane,
        message: &Message,
        trace: &Trace,
        row: Option<&LogRow>,
        reason: ParkReason,
        error: &str,
        mut failures: Failures,
    ) -> Outcome {
        // If an event of the log failed, the dead letter is that event, which need not be the message's own.
        let (body, event_id, event_type) = match row {
            Some(row) => (
                row.envelope_json().to_owned(),
                Some(row.event_id.clone()),
                Some(row.event_type.clone()),
            ),
            None => (
                message.body.clone(),
                trace.event_id.clone(),
                trace.event_type.clone(),
            ),
        };
        let letter = Letter {
            body,
            consumer: H::NAME,
            event_id,
            event_type,
            reason,
            error: error.to_owned(),
            attempts: failures.count,
            first_received_at: message.first_received_at,
            parked_at: self.clock().now(),
            // What an in-order consumer parks needs no mark.
            first_replay: message.first_replay.filter(|_| row.is_none()),
        };
        // The record is for the event's journey. If it fails, the dead letter is sent nevertheless.
        if let Some(event_id) = &letter.event_id {
            failures.parked = Some(Parked {
                reason: reason.to_string(),
                first_received_at: letter.first_received_at,
                parked_at: letter.parked_at,
            });
            self.note_failures(event_id, &failures).await;
        }
        // The dead letter is sent before the message is acknowledged: a crash in between leaves two dead letters, not
        // none.
        let parked = match self.queue.park(&lane.dead_letter_queue_url, &letter).await {
            Ok(()) => match row {
                Some(row) => self.block(row, reason).await,
                None => Ok(true),
            },
            Err(fault) => Err(fault.into()),
        };
        match parked {
            Ok(true) => Outcome::Parked(reason),
            // The event was handled meanwhile; the events after it are still to be handled.
            Ok(false) => Outcome::Continues,
            Err(fault) => {
                tracing::error!(
                    consumer = H::NAME, lane = lane.name, message_id = %message.message_id, %reason,
                    error = %outbox::chain(&fault), "cannot park; the message comes back"
                );
                Outcome::NotParked
            }
        }
    }

    /// Hides a message for a span. If this fails, the message still comes back when the queue's own visibility timeout
    /// ends.
    async fn hide(&self, lane: &Lane, message: &Message, span: Duration) {
        if let Err(fault) = self
            .queue
            .hide(&lane.queue_url, &message.receipt_handle, span)
            .await
        {
            tracing::warn!(
                consumer = H::NAME, lane = lane.name, message_id = %message.message_id,
                error = %outbox::chain(&fault), "cannot set a message's visibility timeout; the queue's own applies"
            );
        }
    }
}

impl<H> std::fmt::Debug for BatchRunner<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runner")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// What makes records go one after the other: they are copies of one event, or belong to an aggregate that is handled
/// in order.
#[derive(PartialEq)]
enum Together {
    Copies(Mark),
    Aggregate(String),
}

/// Groups the records that go one after the other. The groups are in the order in which their first records came.
fn group_copies<H: Handler>(messages: Vec<Message>) -> Vec<Vec<Record>> {
    let mut groups: Vec<(Option<Together>, Vec<Record>)> = Vec::with_capacity(messages.len());
    for message in messages {
        let envelope = Registry::read(&message.body);
        // The consumer's name is the same for the whole batch, so the rest of the mark identifies an event.
        let identity = envelope.as_ref().ok().map(|envelope| {
            match H::Event::evidence(envelope.event_type.as_str()) {
                Some(Evidence::Cursor) => Together::Aggregate(envelope.aggregate()),
                _ => Together::Copies(Mark::event("", envelope)),
            }
        });
        let record = Record { message, envelope };
        match groups
            .iter_mut()
            .find(|(other, _)| identity.is_some() && *other == identity)
        {
            Some((_, copies)) => copies.push(record),
            None => groups.push((identity, vec![record])),
        }
    }
    groups.into_iter().map(|(_, copies)| copies).collect()
}

/// Runs the last calls of a record while there is time to answer the invocation; `None` if they did not end.
async fn in_time<T>(
    batch: &Batch<'_>,
    clock: &dyn Clock,
    calls: impl Future<Output = T>,
) -> Option<T> {
    let left = batch.deadline.since(clock.now()).saturating_sub(ANSWER);
    tokio::time::timeout(left, calls).await.ok()
}

fn warn_uncounted<H: Handler>(event_id: &str, error: &outbox::Error) {
    tracing::warn!(
        consumer = H::NAME, event_id, error = %outbox::chain(error),
        "cannot read or write how often an event failed"
    );
}

pub(crate) fn park_reason(error: &DecodeError) -> ParkReason {
    match error {
        DecodeError::UnknownType(_) => ParkReason::UnknownType,
        DecodeError::UnknownVersion { .. } => ParkReason::UnknownVersion,
        DecodeError::Invalid(_) => ParkReason::Invalid,
    }
}

pub(crate) fn panic_text(panic: &(dyn std::any::Any + Send)) -> &str {
    panic
        .downcast_ref::<&str>()
        .copied()
        .or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("no message")
}

#[expect(
    clippy::too_many_arguments,
    reason = "one place that knows the line's fields"
)]
fn log_record(
    consumer: &str,
    lane: &Lane,
    message: &Message,
    trace: &Trace,
    attempt: u32,
    outcome: Outcome,
    duration: Duration,
    error: Option<String>,
) {
    let text = |value: &Option<String>| value.clone().unwrap_or_default();
    let (event_id, event_type) = (text(&trace.event_id), text(&trace.event_type));
    let correlation_id = text(&trace.correlation_id);
    let operation_id = message.operation_id.as_deref();
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (outcome_word, lane) = (outcome.as_str(), lane.name);
    match (outcome, error) {
        (Outcome::Parked(reason), error) => tracing::error!(
            event_id, event_type, consumer, lane, attempt, correlation_id, operation_id, duration_ms,
            outcome = outcome_word, message_id = %message.message_id, %reason, error, "record"
        ),
        (_, Some(error)) => tracing::warn!(
            event_id, event_type, consumer, lane, attempt, correlation_id, operation_id, duration_ms,
            outcome = outcome_word, message_id = %message.message_id, error, "record"
        ),
        (_, None) => tracing::info!(
            event_id,
            event_type,
            consumer,
            lane,
            attempt,
            correlation_id,
            operation_id,
            duration_ms,
            outcome = outcome_word,
            "record"
        ),
    }
}
