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
    Clock, Decision, Guarded, Mark, Outbox, Parked,
    group::{self, GroupStore},
    log::LogRow,
};
use serde::Deserialize;

use crate::{
    Class, Delivery, Failure, Finished, Handler, Lane, Letter, Message, Outcome, ParkReason, Queue,
    Received, Settings, Summary,
    config::{JITTER_PERCENT, MARGIN, UNBEGUN_DELAY},
    in_order::InOrderFailure,
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
            self.return_unbegun(lane, &message).await;
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
            .filter(|_| attempt == 1)
            .map(|envelope| Delivery {
                domain: envelope.event_type.domain().to_owned(),
                priority: envelope.priority,
                latency: started.since(envelope.occurred_at),
            });
        let result = match envelope {
            Ok(envelope) => match H::Event::evidence(envelope.event_type.as_str()) {
                Some(Evidence::Cursor) => self.in_order(batch, &envelope, attempt).await,
                evidence => self
                    .handle(batch, envelope, evidence, attempt)
                    .await
                    .map_err(InOrderFailure::from),
            },
            Err(invalid) => Err(Failure::parked_as(ParkReason::Malformed, invalid).into()),
        };
        let (outcome, error) = match result {
            Ok(outcome) => (outcome, None),
            Err(stopped) => {
                let error = stopped.failure.chain();
                let outcome = self.fail(lane, &message, &trace, attempt, &stopped, &error);
                (outcome.await, Some(error))
            }
        };
        if outcome == Outcome::Continues {
            self.return_uncounted(lane, &message).await;
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
            Ok(Ok(handled)) => return handled,
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
            .unless_done(&mark, guarded, interruption, MARGIN / 2)
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
                return Err(Failure::retry("other writers kept changing the same state"));
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
        let delays = &self.settings.retry_delays;
        let at = usize::try_from(attempt.saturating_sub(1)).unwrap_or(usize::MAX);
        let last = delays.last().copied().unwrap_or(UNBEGUN_DELAY);
        let age = self.clock().now().since(message.sent_at);
        let (outcome, delay) = match (failure.class(), delays.get(at)) {
            (Class::Park(reason), _) => {
                return self.park(lane, message, trace, row, reason, error).await;
            }
            // The message comes back once more: it finds its mark, and only the work after the commit is left to do.
            (Class::Retry, None) if failure.is_committed() => (Outcome::Retry(last), last),
            (Class::Retry, None) => {
                return self
                    .park(
                        lane,
                        message,
                        trace,
                        row,
                        ParkReason::RetriesExhausted,
                        error,
                    )
                    .await;
            }
            (Class::Unavailable, _) if age > self.settings.unavailable_max_age => {
                return self
                    .park(
                        lane,
                        message,
                        trace,
                        row,
                        ParkReason::UnavailableTooLong,
                        error,
                    )
                    .await;
            }
            (Class::Retry, Some(delay)) => (Outcome::Retry(*delay), *delay),
            (Class::Unavailable, delay) => {
                let delay = delay.copied().unwrap_or(last);
                (Outcome::Unavailable(delay), delay)
            }
        };
        self.hide(lane, message, self.clock().jittered(delay, JITTER_PERCENT))
            .await;
        outcome
    }

    async fn park(
        &self,
        lane: &Lane,
        message: &Message,
        trace: &Trace,
        row: Option<&LogRow>,
        reason: ParkReason,
        error: &str,
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
            attempts: message.receive_count,
            first_received_at: message.first_received_at,
            parked_at: self.clock().now(),
        };
        self.note_parked(&letter).await;
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

    /// Records the parked event for its journey. If this fails, the dead letter is sent nevertheless.
    async fn note_parked(&self, letter: &Letter) {
        let Some(event_id) = &letter.event_id else {
            return;
        };
        let parked = Parked {
            reason: letter.reason.to_string(),
            error: letter.error.clone(),
            attempts: letter.attempts,
            first_received_at: letter.first_received_at,
            parked_at: letter.parked_at,
        };
        if let Err(error) = self.outbox.note_parked(H::NAME, event_id, parked).await {
            tracing::warn!(
                consumer = H::NAME, event_id,
                error = %outbox::chain(&error), "cannot record that an event is parked"
            );
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
    let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let (outcome_word, lane) = (outcome.as_str(), lane.name);
    match (outcome, error) {
        (Outcome::Parked(reason), error) => tracing::error!(
            event_id, event_type, consumer, lane, attempt, correlation_id, duration_ms, outcome = outcome_word,
            message_id = %message.message_id, %reason, error, "record"
        ),
        (_, Some(error)) => tracing::warn!(
            event_id, event_type, consumer, lane, attempt, correlation_id, duration_ms, outcome = outcome_word,
            message_id = %message.message_id, error, "record"
        ),
        (_, None) => tracing::info!(
            event_id,
            event_type,
            consumer,
            lane,
            attempt,
            correlation_id,
            duration_ms,
            outcome = outcome_word,
            "record"
        ),
    }
}
