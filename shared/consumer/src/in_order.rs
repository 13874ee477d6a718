//! In-order consumers: an aggregate's events are read from the event log after the cursor and handled in order. This
//! module handles the events whose evidence is a cursor.
//!
//! The message is only a wake-up. The run that it starts handles every event in the log after the cursor, up to the
//! log's end. It commits each event in one transaction with the cursor's advance over that event. This is correct
//! because:
//!
//! * A message is acknowledged when no event is left after the cursor, or when the aggregate waits for a parked event.
//! * A parked event blocks its aggregate: the dead letter is sent, then the block is set, then the message is
//!   acknowledged. While the block stands, a message for another event of the aggregate is acknowledged without any
//!   work. A message for the blocked event (its dead letter sent back, or a copy) tries the event again.
//! * The success of the blocked event removes the block in the same transaction. Its message is then responsible for
//!   all events whose messages were acknowledged meanwhile: it is done when the log, read *after* that commit, has no
//!   further event. That read finds them all, because each of those events was committed before its message was
//!   acknowledged, and its message was acknowledged before the block was removed.
//! * A run that parked an event can find it handled when it sets the block. Its message then comes back: the commit
//!   that handled the event can have been this run's own, with its answer lost, and then no other message goes on from
//!   there.
//! * A sequence that is missing between two rows is read on its own before it is passed over, because a page of the log
//!   is not a snapshot.
//! * Two runs over the same events cannot both commit: each advance is conditional on the cursor that its decision
//!   read.
//!
//! Correctness needs nothing in memory and no visibility timeout.

use std::{panic::AssertUnwindSafe, sync::atomic::AtomicBool, time::Duration};

use events::{Cause, Envelope, Evidence, Registry, Subscription};
use futures::FutureExt;
use outbox::{Blocked, Decision, Error, Failures, Guarded, Parked, Progress, log::LogRow};

use crate::{
    BatchRunner, Failure, Handler, Lane, Outcome, ParkReason, Received,
    batch::{Batch, panic_text, park_reason},
    config::{LAST_READ, MARGIN},
};

/// Rows of the event log per page.
const PAGE: u32 = 25;

/// Attempts to set a block while other runs move the cursor.
const BLOCK_TRIES: usize = 3;

const A_DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Why a message is not done: its own event failed, or another event of the aggregate did.
pub(crate) struct InOrderFailure {
    pub(crate) failure: Failure,
    /// The event that failed, if it was read from the log.
    pub(crate) row: Option<Box<LogRow>>,
}

impl From<Failure> for InOrderFailure {
    fn from(failure: Failure) -> Self {
        Self { failure, row: None }
    }
}

impl From<outbox::Error> for InOrderFailure {
    fn from(error: outbox::Error) -> Self {
        Failure::from(error).into()
    }
}

/// The result for one event.
enum Step {
    Handled,
    /// The cursor is no longer what the run read.
    Stale,
}

impl<H: Handler> BatchRunner<H> {
    /// Handles all events after the cursor of the aggregate that a message is about.
    pub(crate) async fn in_order(
        &self,
        batch: &Batch<'_>,
        wake: &Envelope,
        attempt: u32,
    ) -> Result<Outcome, InOrderFailure> {
        let aggregate = wake.aggregate();
        let own = wake.sequence.number();
        let (mut handled_any, mut was_blocked) = (false, false);
        let mut again = false;
        let mut is_own_gone = false;
        loop {
            // The caller checked the time for one read and one event. Every further round checks again.
            if again && !self.time_left(batch) {
                return Ok(Outcome::Continues);
            }
            again = true;
            let (mut progress, rows, more) = self.behind_cursor(batch, &aggregate).await?;
            if let Some(blocked) = progress.blocked() {
                if blocked.sequence != own {
                    if own > progress.position() {
                        return Ok(Outcome::Waiting);
                    }
                    if is_own_gone || self.was_passed_over(wake, &progress).await? {
                        return Err(self.not_in_the_log(wake, true).into());
                    }
                    return Ok(Outcome::Duplicate);
                }
                was_blocked = true;
            }
            let mut seen = progress.position();
            let mut handled = false;
            let mut stale = false;
            for row in rows {
                if row.sequence > seen + 1 && !self.is_gap(batch, &row).await? {
                    stale = true;
                    break;
                }
                self.tell_gap(&aggregate, seen, row.sequence);
                if !is_own_gone && (seen + 1..row.sequence).contains(&own) {
                    is_own_gone = true;
                    self.note_passed_over(wake).await?;
                }
                seen = row.sequence;
                if H::Event::evidence(&row.event_type) != Some(Evidence::Cursor) {
                    continue;
                }
                if !self.time_left(batch) {
                    return Ok(Outcome::Continues);
                }
                match self.step(batch, &progress, &row, attempt).await {
                    Ok(Step::Handled) => {
                        if row.sequence != own {
                            tell_handled::<H>(batch.lane, &row);
                        }
                        // Only the first event after the cursor can have failed before.
                        if !handled && attempt > 1 {
                            self.forget_failures(&row.event_id).await;
                        }
                        progress = progress.advanced_to(row.sequence, self.clock().now());
                        (handled, handled_any) = (true, true);
                    }
                    Ok(Step::Stale) => {
                        stale = true;
                        break;
                    }
                    Err(failure) => {
                        return Err(InOrderFailure {
                            failure,
                            row: Some(Box::new(row)),
                        });
                    }
                }
            }
            if stale {
                continue;
            }
            if more {
                if !self.time_left(batch) {
                    return Ok(Outcome::Continues);
                }
                // Moves the cursor over events that this consumer does not select, so that they are not read again.
                self.pass_over(&progress, seen).await?;
                continue;
            }
            if handled && was_blocked {
                continue;
            }
            if own > seen || is_own_gone || self.was_passed_over(wake, &progress).await? {
                return Err(self.not_in_the_log(wake, own <= seen).into());
            }
            return Ok(if handled_any {
                Outcome::Done
            } else {
                Outcome::Duplicate
            });
        }
    }

    /// The failure of a message whose event the log does not have. If the event's retention is over, no retry can help,
    /// and the event was not handled: it is said, not passed over.
    fn not_in_the_log(&self, wake: &Envelope, is_passed_over: bool) -> Failure {
        let (own, aggregate) = (wake.sequence.number(), wake.aggregate());
        let text = format!("the event log has no event {own} of {aggregate}");
        let version = wake.event_version.number();
        let contract = self
            .outbox()
            .registry()
            .get(wake.event_type.as_str(), version);
        let age = self.clock().now().since(wake.occurred_at);
        let kept = contract.and_then(|one| one.info().retention.span());
        let is_expired = kept.is_some_and(|kept| age > kept);
        if is_passed_over || is_expired {
            let text = format!("{text} any more: its retention is over, and it was not handled");
            Failure::parked_as(ParkReason::TooOld, text)
        } else {
            Failure::retry(text)
        }
    }

    /// Whether an event that the cursor is beyond was parked because the log no longer had it. Such an event is not a
    /// duplicate, however often it is sent back. Only events that are older than a day are looked up: that the message of
    /// one comes again is rare.
    async fn was_passed_over(&self, wake: &Envelope, progress: &Progress) -> Result<bool, Failure> {
        let age = self.clock().now().since(wake.occurred_at);
        if wake.sequence.number() > progress.position() || age < A_DAY {
            return Ok(false);
        }
        let id = wake.event_id.to_string();
        let reading = self.outbox().failures(H::NAME, &id);
        let failures = within(LAST_READ, "reading how often the event failed", reading).await?;
        let parked = failures.and_then(|failures| failures.parked);
        Ok(parked.is_some_and(|parked| parked.reason == ParkReason::TooOld.as_str()))
    }

    /// Writes down that the cursor is about to pass over a message's own event, before it does: whatever ends this run,
    /// the message is not taken for a duplicate when it comes back.
    async fn note_passed_over(&self, wake: &Envelope) -> Result<(), Failure> {
        let (id, now) = (wake.event_id.to_string(), self.clock().now());
        let mut failures = Failures::default();
        failures.add("the event log no longer has the event", now, now);
        failures.parked = Some(Parked {
            reason: ParkReason::TooOld.to_string(),
            first_received_at: now,
            parked_at: now,
        });
        let noting = self.outbox().put_failures(H::NAME, &id, &failures);
        within(LAST_READ, "writing a failure down", noting).await
    }

    /// Whether there is time to begin one more event.
    fn time_left(&self, batch: &Batch<'_>) -> bool {
        batch.deadline.since(self.clock().now()) >= self.settings().record_timeout + MARGIN
    }

    async fn behind_cursor(
        &self,
        batch: &Batch<'_>,
        aggregate: &str,
    ) -> Result<(Progress, Vec<LogRow>, bool), Failure> {
        let reading = async {
            let progress = batch.outbox.progress(H::NAME, aggregate).await?;
            let position = progress.position();
            let (rows, more) = batch.outbox.rows_after(aggregate, position, PAGE).await?;
            Ok::<_, outbox::Error>((progress, rows, more))
        };
        let what = "reading the cursor and the events after it";
        within(self.settings().record_timeout, what, reading).await
    }

    /// Whether the events before a row are really gone. A page is not a snapshot: if a transaction logs several events,
    /// a query during its commit can show a later event without an earlier one
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>, "Read-committed",
    /// read 2026-11-26). A later read of a single item sees the whole transaction of any row that was seen. An event
    /// that such a page hides is as young as the row, so if any event is hidden, the row's direct predecessor is
    /// hidden. Events that retention removed are older. Reading the predecessor therefore distinguishes the two cases.
    async fn is_gap(&self, batch: &Batch<'_>, row: &LogRow) -> Result<bool, Failure> {
        let before = row.sequence - 1;
        let key = batch
            .outbox
            .events_table()
            .map_err(Error::from)?
            .numbered_key(row.aggregate.as_str(), before);
        let reading = batch.outbox.store().get(&key);
        let row = within(LAST_READ, "checking the event log for a gap", reading).await?;
        Ok(row.is_none())
    }

    /// Handles one event: decodes it, decides on it and commits the decision with the cursor's advance.
    async fn step(
        &self,
        batch: &Batch<'_>,
        progress: &Progress,
        row: &LogRow,
        attempt: u32,
    ) -> Result<Step, Failure> {
        let mark = progress.advance(row.sequence);
        let limit = self.settings().record_timeout;
        let under_way = AtomicBool::new(false);
        let work = async {
            let received = self.received(row, attempt)?;
            let cause = Cause::event(&received.envelope);
            let received = &received;
            let _member = batch.join();
            batch
                .outbox
                .execute_watched(&mark, &cause, &under_way, |transaction| async move {
                    let decided = self.handler().decide(received, transaction).await?;
                    Ok::<_, Failure>(Decision::<(), ()>::Commit(decided, ()))
                })
                .await
        };
        let caught = AssertUnwindSafe(work).catch_unwind();
        let failure = match tokio::time::timeout(limit, caught).await {
            Ok(Ok(Ok(outbox::Outcome::Committed { .. }))) => return Ok(Step::Handled),
            Ok(Ok(Ok(outbox::Outcome::AlreadyDone(_)))) => return Ok(Step::Stale),
            Ok(Ok(Ok(outbox::Outcome::Contention | outbox::Outcome::Refused(())))) => {
                // The event's time can be used up, so this read must fit into the response margin.
                let now = batch.outbox.progress(H::NAME, progress.aggregate());
                match within(LAST_READ, "reading the cursor", now).await {
                    Ok(now) if now.is_same_as(progress) => Failure::contention(),
                    Ok(_) => return Ok(Step::Stale),
                    Err(failure) => failure,
                }
            }
            Ok(Ok(Err(failure))) => failure,
            Ok(Err(panic)) => {
                Failure::retry(format!("the handler panicked: {}", panic_text(&*panic)))
            }
            Err(_) => Failure::too_slow(limit),
        };
        // Before the failure counts: an own commit whose answer was lost, or another run, can have handled the event.
        match self.unless_done(&mark, false, failure, LAST_READ).await {
            Ok(_) => Ok(Step::Stale),
            Err(failure) if under_way.into_inner() => Err(failure.undecided()),
            Err(failure) => Err(failure),
        }
    }

    fn received(&self, row: &LogRow, attempt: u32) -> Result<Received<H::Event>, Failure> {
        let json = row.envelope_json();
        let envelope = Registry::read(json)
            .map_err(|invalid| Failure::parked_as(ParkReason::Malformed, invalid))?;
        let event = H::Event::decode(&envelope)
            .map_err(|error| Failure::parked_as(park_reason(&error), error))?;
        Ok(Received {
            envelope,
            event,
            attempt,
            stored: Some(json.to_owned()),
        })
    }

    /// Moves the cursor over events that this consumer does not select.
    async fn pass_over(&self, progress: &Progress, to: u64) -> Result<(), Failure> {
        if to == progress.position() {
            return Ok(());
        }
        let mark = progress.advance(to);
        let cause = Cause::default();
        let passing = self.outbox().execute(&mark, &cause, |transaction| async {
            Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
        });
        let what = "moving the cursor over other events";
        // If another run moved the cursor meanwhile, that does no harm: the cursor is read again in any case.
        let passed = within(self.settings().record_timeout, what, passing).await;
        passed.map(drop)
    }

    /// Logs an error, once per read, for events that the log no longer has: they cannot be handled any more.
    fn tell_gap(&self, aggregate: &str, seen: u64, next: u64) {
        if seen > 0 && next > seen + 1 {
            tracing::error!(
                consumer = H::NAME,
                aggregate,
                from = seen + 1,
                to = next - 1,
                "events after the cursor are no longer in the event log; passed over"
            );
        }
    }

    /// Makes an aggregate wait for a parked event. Returns `false` if the event was handled meanwhile. The commit can
    /// have been this run's own, with its answer lost; then no other message leads to the events after it.
    pub(crate) async fn block(
        &self,
        row: &LogRow,
        reason: ParkReason,
    ) -> Result<bool, outbox::Error> {
        let mut last = Ok(false);
        for _ in 0..BLOCK_TRIES {
            let progress = self.outbox().progress(H::NAME, &row.aggregate).await?;
            if progress.position() >= row.sequence {
                return Ok(false);
            }
            let blocked = Blocked {
                at: self.clock().now(),
                sequence: row.sequence,
                event_id: row.event_id.clone(),
                reason: reason.to_string(),
            };
            match self.outbox().block(&progress, blocked).await? {
                Guarded::Applied => return Ok(true),
                // The cursor was moved by another run, or by an earlier attempt of this same write.
                Guarded::Ignored => {
                    last = Err(outbox::Error::Refused("the cursor keeps moving".into()));
                }
            }
        }
        last
    }
}

/// Waits for a call at most this long. A call that does not end says in its failure what it did.
async fn within<T, E>(
    limit: Duration,
    what: &str,
    call: impl Future<Output = Result<T, E>>,
) -> Result<T, Failure>
where
    Failure: From<E>,
{
    match tokio::time::timeout(limit, call).await {
        Ok(done) => Ok(done?),
        Err(_) => Err(Failure::unavailable(format!("{what} timed out"))),
    }
}

/// Logs an event that was handled before or after the event that the message is about.
fn tell_handled<H: Handler>(lane: &Lane, row: &LogRow) {
    tracing::info!(
        event_id = row.event_id,
        event_type = row.event_type,
        consumer = H::NAME,
        lane = lane.name,
        sequence = row.sequence,
        outcome = Outcome::Done.as_str(),
        "record in order"
    );
}
