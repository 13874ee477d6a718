//! A run of a job: takes the lease, works on pages, and gives the lease back.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use events::{Cause, Timestamp};
use futures::FutureExt;
use outbox::{
    Clock, Condition, Decision, Error, Evidence, Key, Mark, Outbox, Outcome, Prepared, Reason,
    Sendings, Transaction, Write, chain, send_until_known,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Job, Next, Settings,
    lease::{Ending, Lease, RunRecord, add, cut, lease_key, lease_pk, record_key},
    settings::MARGIN,
};
use crate::Failure;

/// How often a run that waits looks whether the lease is free.
const LOOKS_AGAIN: Duration = Duration::from_millis(500);

/// Runs a job.
pub struct JobRunner<J> {
    job: J,
    outbox: Outbox,
    settings: Settings,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The job.
    pub job: &'static str,
    /// How the run ended.
    pub outcome: Ending,
    /// The run's fencing number; if it did not take the lease, the number of the run that took it last, 0 if none did.
    pub fence: u64,
    /// The number of committed pages.
    pub pages: u64,
    /// Counts of what the pages did, by name.
    pub counts: BTreeMap<String, u64>,
    /// Notes for the operator.
    pub notes: Vec<String>,
}

impl Report {
    /// The report of a run that did not take the lease.
    fn without_pages<J: Job>(outcome: Ending, lease: Option<&Lease>) -> Self {
        Self {
            job: J::NAME,
            outcome,
            fence: lease.map_or(0, |lease| lease.fence),
            pages: 0,
            counts: BTreeMap::new(),
            notes: Vec::new(),
        }
    }
}

/// Why a run failed. Its committed pages stay, its record has the reason, and the next run begins with the page that
/// failed.
#[derive(Debug, thiserror::Error)]
#[error("job {job} failed on page {page} of pass {pass}: {error}")]
pub struct RunError {
    /// The job.
    pub job: &'static str,
    /// The pass; nil if the lease could not be taken.
    pub pass: Uuid,
    /// The page that failed, from 0.
    pub page: u64,
    /// The error with its sources.
    pub error: String,
}

/// Why a run stops at a page.
enum Stop {
    /// Another run has taken the lease.
    LeaseLost,
    /// The page failed.
    Failed(String),
}

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Failed(chain(&error))
    }
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure.chain())
    }
}

/// A decided page.
struct Decided {
    lease: Lease,
    counts: BTreeMap<&'static str, u64>,
    notes: Vec<String>,
}

/// The run has lost its lease and must stop.
struct Lost;

impl<J: Job> JobRunner<J> {
    /// A runner for a job.
    pub fn new(job: J, outbox: Outbox, settings: Settings) -> Self {
        Self {
            job,
            outbox,
            settings,
        }
    }

    /// The job.
    pub fn job(&self) -> &J {
        &self.job
    }

    fn clock(&self) -> &dyn Clock {
        &**self.outbox.clock()
    }

    fn lease_key(&self) -> Result<Key, Error> {
        Ok(lease_key(self.outbox.marks_table()?, J::NAME))
    }

    /// Makes one run, which ends before the deadline. It takes the lease, then works on pages until the pass is
    /// finished or the time is up. If there is nothing to do, it takes no lease and reports a finished pass of no pages.
    ///
    /// # Errors
    /// [`RunError`] when a page failed or the lease could not be taken.
    pub async fn run(&self, deadline: Timestamp) -> Result<Report, RunError> {
        let mut report = self.run_once(deadline).await?;
        while J::WAITS
            && report.outcome == Ending::Busy
            && deadline.since(self.clock().now()) > self.settings.page_needs() + LOOKS_AGAIN
        {
            self.clock().sleep(LOOKS_AGAIN).await;
            report = self.run_once(deadline).await?;
        }
        Ok(report)
    }

    async fn run_once(&self, deadline: Timestamp) -> Result<Report, RunError> {
        let started = self.clock().now();
        let taken = match self.read().await {
            Ok(before) if self.has_nothing_to_do(before.as_ref(), started).await => {
                let outcome = Ending::Finished;
                tracing::info!(job = J::NAME, outcome = outcome.as_str(), "nothing to do");
                return Ok(Report::without_pages::<J>(outcome, before.as_ref()));
            }
            Ok(before) => self.take(before, started).await,
            Err(error) => Err(error),
        };
        let (lease, mut record) = match taken {
            Ok(Ok(taken)) => taken,
            Ok(Err(held)) => {
                tracing::info!(
                    job = J::NAME,
                    fence = held.as_ref().map(|lease| lease.fence),
                    held_until = held.as_ref().map(|lease| lease.held_until.to_string()),
                    outcome = Ending::Busy.as_str(),
                    "another run has the lease"
                );
                return Ok(Report::without_pages::<J>(Ending::Busy, held.as_ref()));
            }
            Err(error) => {
                let error = chain(&error);
                tracing::error!(job = J::NAME, error, "cannot take the lease");
                return Err(RunError {
                    job: J::NAME,
                    pass: Uuid::nil(),
                    page: 0,
                    error,
                });
            }
        };
        let (lease, ending) = self.pages(lease, &mut record, deadline).await;
        let (outcome, error) = match ending {
            Ok(ending) => (ending, None),
            Err(Stop::LeaseLost) => (Ending::LeaseLost, None),
            Err(Stop::Failed(error)) => (Ending::Failed, Some(error)),
        };
        record.outcome = Some(outcome);
        record.error = error.as_deref().map(cut);
        if outcome != Ending::LeaseLost {
            self.give_back(&lease, &mut record).await;
        }
        self.tell(&record, outcome, error.as_deref());
        // Committed pages count in every case, also after a failure.
        super::metrics::<J>(&self.settings.stack, &record.counts).flush();
        match error {
            None => Ok(Report {
                job: J::NAME,
                outcome,
                fence: record.fence,
                pages: record.pages,
                counts: record.counts,
                notes: record.notes,
            }),
            Some(error) => Err(RunError {
                job: J::NAME,
                pass: lease.pass,
                page: lease.page,
                error,
            }),
        }
    }

    fn tell(&self, record: &RunRecord, outcome: Ending, error: Option<&str>) {
        let duration = self.clock().now().since(record.started_at);
        let duration_ms = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
        let counts = serde_json::to_string(&record.counts).unwrap_or_default();
        let (job, fence, pages) = (J::NAME, record.fence, record.pages);
        let (pass, first_page) = (record.pass.to_string(), record.first_page);
        let notes = record.notes.len();
        let outcome_word = outcome.as_str();
        match outcome {
            Ending::Finished | Ending::Continues | Ending::Busy => tracing::info!(
                job,
                fence,
                pass,
                first_page,
                pages,
                counts,
                notes,
                duration_ms,
                outcome = outcome_word,
                "run ended"
            ),
            Ending::LeaseLost => tracing::warn!(
                job,
                fence,
                pass,
                first_page,
                pages,
                counts,
                notes,
                duration_ms,
                outcome = outcome_word,
                "lease lost to another run; stopped at once"
            ),
            Ending::Failed => tracing::error!(
                job,
                fence,
                pass,
                first_page,
                pages,
                counts,
                notes,
                duration_ms,
                outcome = outcome_word,
                error,
                "run failed"
            ),
        }
    }

    /// Whether the run can end at once: no run holds the lease, no pass is unfinished, and the job says that it has
    /// nothing to do. If it cannot say so, for whatever reason, the run goes on: a page that fails for the same reason is
    /// recorded.
    async fn has_nothing_to_do(&self, lease: Option<&Lease>, now: Timestamp) -> bool {
        if lease.is_some_and(|lease| lease.held_until > now || lease.unfinished) {
            return false;
        }
        let asked = AssertUnwindSafe(self.job.has_work(now)).catch_unwind();
        let answer = tokio::time::timeout(self.settings.page_timeout, asked).await;
        matches!(answer, Ok(Ok(Ok(false))))
    }

    /// Takes the lease, which was read before, if it is free, and writes the run's record. Otherwise returns the lease of
    /// the other run, if it can be read.
    async fn take(
        &self,
        before: Option<Lease>,
        now: Timestamp,
    ) -> Result<Result<(Lease, RunRecord), Option<Lease>>, Error> {
        if let Some(held) = before.as_ref().filter(|lease| lease.held_until > now) {
            return Ok(Err(Some(held.clone())));
        }
        let writing = self.clock().uuid();
        let lease = Lease::taken(before.as_ref(), writing, now, self.settings.lease);
        let expected = before.as_ref().map_or(Condition::Absent, Lease::unchanged);
        let record = RunRecord::begun(J::NAME, &lease, now);
        match self
            .write(expected, &lease, Some((&record, Condition::Absent)))
            .await?
        {
            Ok(()) => Ok(Ok((lease, record))),
            // Another runner was faster.
            Err(Lost) => Ok(Err(self.read().await?)),
        }
    }

    async fn read(&self) -> Result<Option<Lease>, Error> {
        self.outbox.row(&self.lease_key()?).await
    }

    /// Works on pages until there is a reason to stop. Returns the lease as this run last knew it.
    async fn pages(
        &self,
        mut lease: Lease,
        record: &mut RunRecord,
        deadline: Timestamp,
    ) -> (Lease, Result<Ending, Stop>) {
        let needs = self.settings.page_needs();
        loop {
            let now = self.clock().now();
            if deadline.since(now) < needs {
                let ending = if record.pages == 0 {
                    Err(Stop::Failed(format!(
                        "no time for a single page: a page needs {} ms of the invocation",
                        needs.as_millis()
                    )))
                } else {
                    Ok(Ending::Continues)
                };
                return (lease, ending);
            }
            // A run that lost its lease must not act. So it begins no page that could outlast its lease.
            if lease.held_until.since(now) < needs {
                let renewed = lease.held(self.clock().uuid(), now.plus(self.settings.lease));
                match self.write(lease.unchanged(), &renewed, None).await {
                    Ok(Ok(())) => lease = renewed,
                    Ok(Err(Lost)) => return (lease, Err(Stop::LeaseLost)),
                    Err(error) => return (lease, Err(error.into())),
                }
                continue;
            }
            match self.page(&lease).await {
                Ok(decided) => {
                    lease = decided.lease;
                    record.pages += 1;
                    add(&mut record.counts, &decided.counts);
                    record.note(decided.notes);
                }
                Err(stop) => return (lease, Err(stop)),
            }
            if !lease.unfinished {
                return (lease, Ok(Ending::Finished));
            }
        }
    }

    /// Handles one page within its time limit, and catches a panic.
    async fn page(&self, lease: &Lease) -> Result<Decided, Stop> {
        let cursor: Option<J::Cursor> = lease
            .cursor
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| {
                Stop::Failed(format!(
                    "the cursor cannot be read by this code ({error}): deploy the code that wrote it, or abandon the pass \
                     by removing the row {}",
                    lease_pk(J::NAME)
                ))
            })?;
        let mark = Mark::JobPage {
            job: J::NAME,
            run: lease.pass.to_string(),
            page: lease.page,
            fence: lease.fence,
        };
        let (tries, under_way, cause) =
            (AtomicU32::new(0), AtomicBool::new(false), Cause::default());
        let work = self
            .outbox
            .execute_watched(&mark, &cause, &under_way, |transaction| {
                let again = tries.fetch_add(1, Ordering::Relaxed) > 0;
                self.decide(lease, cursor.as_ref(), transaction, again)
            });
        let caught = AssertUnwindSafe(work).catch_unwind();
        match tokio::time::timeout(self.settings.page_timeout, caught).await {
            Ok(Ok(Ok(Outcome::Committed { value, .. }))) => Ok(value),
            // Only a run with the lease writes this mark, so another run has it now.
            Ok(Ok(Ok(Outcome::AlreadyDone(_) | Outcome::Refused(Lost)))) => Err(Stop::LeaseLost),
            Ok(Ok(Ok(Outcome::Contention))) => Err(Stop::Failed(
                "other writers kept changing the same state".to_owned(),
            )),
            Ok(Ok(Err(stop))) => Err(stop),
            Ok(Err(panic)) => Err(Stop::Failed(format!(
                "the page panicked: {}",
                crate::batch::panic_text(&*panic)
            ))),
            Err(_) => Err(Stop::Failed(format!(
                "the page took longer than {} ms{}",
                self.settings.page_timeout.as_millis(),
                if under_way.into_inner() {
                    ", its commit under way"
                } else {
                    ""
                }
            ))),
        }
    }

    async fn decide(
        &self,
        lease: &Lease,
        cursor: Option<&J::Cursor>,
        transaction: Transaction,
        again: bool,
    ) -> Result<Decision<Decided, Lost>, Stop> {
        // The conflict can have been with another run that took the lease.
        if again && !self.holds(lease).await? {
            return Ok(Decision::Refuse(Lost));
        }
        let paged = self.job.page(cursor, transaction).await?;
        let cursor = match &paged.next {
            Next::From(cursor) => Some(serde_json::to_string(cursor).map_err(Failure::from)?),
            Next::End => None,
        };
        let held_until = self.clock().now().plus(self.settings.lease);
        let advanced = lease.advanced(cursor, &paged.counts, self.clock().uuid(), held_until);
        let mut transaction = paged.transaction;
        transaction
            .put(self.lease_key()?, &advanced, lease.unchanged())
            .map_err(Error::from)?;
        let decided = Decided {
            lease: advanced,
            counts: paged.counts,
            notes: paged.notes,
        };
        Ok(Decision::Commit(transaction, decided))
    }

    async fn holds(&self, lease: &Lease) -> Result<bool, Error> {
        let row = self.read().await?;
        Ok(row.is_some_and(|row| row.writing == lease.writing))
    }

    /// Completes the record and gives the lease back, in one transaction. If that fails, the lease expires by itself.
    async fn give_back(&self, lease: &Lease, record: &mut RunRecord) {
        match tokio::time::timeout(MARGIN, self.try_give_back(lease, record)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(Lost))) => tracing::warn!(
                job = J::NAME,
                fence = lease.fence,
                "lease lost to another run before this run gave it back"
            ),
            Ok(Err(error)) => tracing::warn!(
                job = J::NAME, fence = lease.fence, error = %chain(&error),
                "cannot give the lease back; it expires by itself"
            ),
            Err(_) => tracing::warn!(
                job = J::NAME,
                fence = lease.fence,
                "no time to give the lease back; it expires by itself"
            ),
        }
    }

    async fn try_give_back(
        &self,
        lease: &Lease,
        record: &mut RunRecord,
    ) -> Result<Result<(), Lost>, Error> {
        let mut known = lease.clone();
        loop {
            let now = self.clock().now();
            record.ended_at = Some(now);
            let released = known.held(self.clock().uuid(), now);
            if self
                .write(
                    known.unchanged(),
                    &released,
                    Some((record, Condition::Present)),
                )
                .await?
                .is_ok()
            {
                return Ok(Ok(()));
            }
            // A page whose answer was lost or late can have been committed. Then this run wrote the row, and still has
            // the lease.
            match self.read().await? {
                Some(row) if row.fence == known.fence && row.writing != known.writing => {
                    tracing::warn!(
                        job = J::NAME,
                        fence = row.fence,
                        page = known.page,
                        "the page was committed after all"
                    );
                    known = row;
                }
                _ => return Ok(Err(Lost)),
            }
        }
    }

    /// Writes the lease's row, and a record of the run, if the condition on the lease holds. After a lost answer,
    /// reading the row shows the outcome, because every write of the row is different.
    async fn write(
        &self,
        expected: Condition,
        lease: &Lease,
        record: Option<(&RunRecord, Condition)>,
    ) -> Result<Result<(), Lost>, Error> {
        let mut writes = vec![Write::put(self.lease_key()?, lease, expected)?];
        if let Some((record, condition)) = record {
            let key = record_key(self.outbox.marks_table()?, J::NAME, record.fence);
            writes.push(Write::put(key, record, condition)?);
        }
        let prepared = Prepared::new(self.clock().uuid().to_string(), writes);
        let evidence = RowOf {
            runner: self,
            lease,
        };
        let store = self.outbox.store();
        send_until_known(
            store,
            self.clock(),
            &prepared,
            Sendings::default(),
            &evidence,
        )
        .await
    }
}

/// The lease's row as evidence of one write: every write of the row is different.
struct RowOf<'a, J> {
    runner: &'a JobRunner<J>,
    lease: &'a Lease,
}

#[async_trait]
impl<J: Job> Evidence for RowOf<'_, J> {
    type Verdict = Result<(), Lost>;

    fn written(&self) -> Self::Verdict {
        Ok(())
    }

    async fn look(&self) -> Result<Option<Self::Verdict>, Error> {
        let holds = self.runner.holds(self.lease).await?;
        Ok(holds.then_some(Ok(())))
    }

    async fn cancelled(
        &self,
        reasons: &[Reason],
        _is_answer_lost: bool,
    ) -> Result<Option<Self::Verdict>, Error> {
        // An earlier attempt of this same write can have caused the cancellation.
        if let Some(ours) = self.look().await? {
            return Ok(Some(ours));
        }
        if reasons.contains(&Reason::ConditionFailed) {
            return Ok(Some(Err(Lost)));
        }
        for reason in reasons {
            if let Reason::Other(code) = reason {
                return Err(Error::Refused(code.clone()));
            }
        }
        Ok(None)
    }
}
