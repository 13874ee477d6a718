//! Events whose evidence is a cursor: an aggregate's events in order, read from the event log behind the cursor.
//!
//! The message is only a wake-up. Whoever is woken handles what the log holds behind the cursor, each event in one
//! transaction with the cursor's advance over it, up to the log's end. What makes that correct:
//!
//! * A message is acknowledged when nothing is left behind the cursor, or when the aggregate waits for a parked event.
//! * An event that is parked blocks its aggregate: the letter is sent, then the block is set, then the message
//!   acknowledged. Whoever comes for another event of the aggregate is acknowledged without doing anything; whoever comes
//!   for the blocked one (its letter sent back, or a copy) tries it again. Its success takes the block away in its own
//!   transaction, and its message then answers for all that was acknowledged meanwhile: it is done when the log, read
//!   *after* that commit, has nothing more. An event that was turned away had been committed before it was turned away,
//!   and it was turned away before the block went, so that reading finds it.
//! * Whoever parked an event and finds it handled when it would set the block comes back: the commit that went on may have
//!   been its own, unheard, and then nobody else goes on from there.
//! * A number that is missing between two rows is looked for by itself before it is passed over: a page of the log is no
//!   snapshot.
//! * Two runs over the same events cannot both commit: each advance is conditional on the cursor that it was decided on.
//!
//! Nothing is held in memory or by visibility.

use std::{panic::AssertUnwindSafe, sync::atomic::AtomicBool};

use events::{Cause, Envelope, Evidence, Registry, Subscription};
use futures::FutureExt;
use outbox::{Blocked, Decision, Error, Guarded, Progress, log::Row};

use crate::{
    Failure, Handler, Lane, Outcome, ParkReason, Received, Runner,
    batch::{Batch, panic_text, park_reason},
    config::MARGIN,
};

/// Rows of the event log read at once.
const PAGE: u32 = 25;

/// Times a block is tried to set against somebody who moves the cursor.
const BLOCK_TRIES: usize = 3;

/// Why a message is not done: its own failure, or that of an event that comes before its own.
pub(crate) struct Stopped {
    pub(crate) failure: Failure,
    /// The event that failed, where it is one of the log.
    pub(crate) row: Option<Box<Row>>,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self { failure, row: None }
    }
}

impl From<outbox::Error> for Stopped {
    fn from(error: outbox::Error) -> Self {
        Failure::from(error).into()
    }
}

/// What became of one event.
enum Step {
    Handled,
    /// The cursor is not what it was read as.
    Stale,
}

impl<H: Handler> Runner<H> {
    /// Handles everything behind the cursor of the aggregate that a message is about.
    pub(crate) async fn in_order(
        &self,
        batch: &Batch<'_>,
        wake: &Envelope,
        attempt: u32,
    ) -> Result<Outcome, Stopped> {
        let aggregate = wake.aggregate();
        let own = wake.sequence.number();
        let (mut handled_any, mut was_blocked) = (false, false);
        let mut again = false;
        loop {
            // The time for one reading and one event was there at the beginning; whoever comes round asks anew.
            if again && !self.time_left(batch) {
                return Ok(Outcome::Continues);
            }
            again = true;
            let (mut progress, rows, more) = self.behind_cursor(batch, &aggregate).await?;
            if let Some(blocked) = progress.blocked() {
                if blocked.sequence != own {
                    let handled_before = own <= progress.position();
                    return Ok(if handled_before {
                        Outcome::Duplicate
                    } else {
                        Outcome::Waiting
                    });
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
                        progress = progress.advanced_to(row.sequence, self.clock().now());
                        (handled, handled_any) = (true, true);
                    }
                    Ok(Step::Stale) => {
                        stale = true;
                        break;
                    }
                    Err(failure) => {
                        return Err(Stopped {
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
                // So that what nobody here listens to is not read again and again.
                self.pass_over(&progress, seen).await?;
                continue;
            }
            if handled && was_blocked {
                continue;
            }
            if own > seen {
                let text = format!("the event log has no event {own} of {aggregate}");
                return Err(Failure::retry(text).into());
            }
            return Ok(if handled_any {
                Outcome::Done
            } else {
                Outcome::Duplicate
            });
        }
    }

    /// Whether one more event may be begun.
    fn time_left(&self, batch: &Batch<'_>) -> bool {
        batch.deadline.since(self.clock().now()) >= self.settings().record_timeout + MARGIN
    }

    async fn behind_cursor(
        &self,
        batch: &Batch<'_>,
        aggregate: &str,
    ) -> Result<(Progress, Vec<Row>, bool), Failure> {
        let reading = async {
            let progress = batch.outbox.progress(H::NAME, aggregate).await?;
            let position = progress.position();
            let (rows, more) = batch.outbox.rows_after(aggregate, position, PAGE).await?;
            Ok::<_, outbox::Error>((progress, rows, more))
        };
        match tokio::time::timeout(self.settings().record_timeout, reading).await {
            Ok(read) => Ok(read?),
            Err(_) => Err(Failure::unavailable(
                "no answer in time to what is behind the cursor",
            )),
        }
    }

    /// Whether what stands before a row is really gone. A page is no snapshot: where a transaction logs several events, a
    /// query that meets it half-way may show a later one without an earlier one
    /// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/transaction-apis.html>, "Read-committed", read
    /// 2026-11-26). A single item's read comes after the whole transaction of whatever was seen. What such a page hides is
    /// as young as the row, so if anything is hidden the row's direct predecessor is; what retention took is older.
    async fn is_gap(&self, batch: &Batch<'_>, row: &Row) -> Result<bool, Failure> {
        let before = row.sequence - 1;
        let key = batch
            .outbox
            .events_table()
            .map_err(Error::from)?
            .numbered_key(row.aggregate.as_str(), before);
        let reading = batch.outbox.store().get(&key);
        match tokio::time::timeout(MARGIN / 2, reading).await {
            Ok(read) => Ok(read?.is_none()),
            Err(_) => Err(Failure::unavailable(
                "no answer in time to whether the event log has a gap",
            )),
        }
    }

    /// One event: decoded, decided on, committed with the cursor's advance.
    async fn step(
        &self,
        batch: &Batch<'_>,
        progress: &Progress,
        row: &Row,
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
                // The event's time may be used up: what is left must do.
                let now = batch.outbox.progress(H::NAME, progress.aggregate());
                match tokio::time::timeout(MARGIN / 2, now).await {
                    Ok(Ok(now)) if now.is_same_as(progress) => {
                        Failure::retry("others kept changing the same state")
                    }
                    Ok(Ok(_)) => return Ok(Step::Stale),
                    Ok(Err(error)) => error.into(),
                    Err(_) => Failure::unavailable("no answer in time to where the cursor is"),
                }
            }
            Ok(Ok(Err(failure))) => failure,
            Ok(Err(panic)) => {
                Failure::retry(format!("the handler panicked: {}", panic_text(&*panic)))
            }
            Err(_) => Failure::too_slow(limit),
        };
        // Before it counts: is it done all the same, by a lost commit of ours or by somebody else?
        match self.unless_done(&mark, false, failure, MARGIN / 2).await {
            Ok(_) => Ok(Step::Stale),
            Err(failure) if under_way.into_inner() => Err(failure.undecided()),
            Err(failure) => Err(failure),
        }
    }

    fn received(&self, row: &Row, attempt: u32) -> Result<Received<H::Event>, Failure> {
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

    /// Moves the cursor over events that nobody here listens to.
    async fn pass_over(&self, progress: &Progress, to: u64) -> Result<(), Failure> {
        if to == progress.position() {
            return Ok(());
        }
        let mark = progress.advance(to);
        let cause = Cause::default();
        let passing = self.outbox().execute(&mark, &cause, |transaction| async {
            Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
        });
        match tokio::time::timeout(self.settings().record_timeout, passing).await {
            // Whoever moved the cursor meanwhile: it is read again either way.
            Ok(passed) => passed.map(drop).map_err(Failure::from),
            Err(_) => Err(Failure::unavailable("no answer in time to passing over")),
        }
    }

    /// What the log no longer holds cannot be handled any more: said loudly, once per reading.
    fn tell_gap(&self, aggregate: &str, seen: u64, next: u64) {
        if seen > 0 && next > seen + 1 {
            tracing::error!(
                consumer = H::NAME,
                aggregate,
                from = seen + 1,
                to = next - 1,
                "events behind the cursor are no longer in the event log: passed over"
            );
        }
    }

    /// Makes an aggregate wait for an event that was parked. `false`: that was handled meanwhile, perhaps by a sending of
    /// this very run of which nobody heard; then nobody else may know of what waits behind it.
    pub(crate) async fn block(&self, row: &Row, reason: ParkReason) -> Result<bool, outbox::Error> {
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
                // Moved by somebody, or by an earlier sending of this very write.
                Guarded::Ignored => {
                    last = Err(outbox::Error::Refused("the cursor keeps moving".into()));
                }
            }
        }
        last
    }
}

/// The line of an event that was handled on the way to, or behind, the one its message is about.
fn tell_handled<H: Handler>(lane: &Lane, row: &Row) {
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
