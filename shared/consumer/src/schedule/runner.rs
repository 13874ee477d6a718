//! A run: takes the lease, takes pages, gives the lease back.

use std::{
    collections::BTreeMap,
    panic::AssertUnwindSafe,
    sync::atomic::{AtomicBool, AtomicU32, Ordering},
};

use async_trait::async_trait;
use events::{Cause, Timestamp};
use futures::FutureExt;
use outbox::{
    Clock, Condition, Decision, Error, Evidence, Key, Mark, Outbox, Outcome, Prepared, Reason,
    Sendings, Transaction, Write, chain, encode_item, send_until_known,
};
use serde::Serialize;
use uuid::Uuid;

use super::{
    Job, Next, Settings,
    lease::{Ending, Lease, RunRecord, add, cut, lease_key, lease_pk, record_key},
    settings::MARGIN,
};
use crate::Failure;

/// Runs a job.
pub struct Runner<J> {
    job: J,
    outbox: Outbox,
    settings: Settings,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// The job.
    pub job: &'static str,
    /// How.
    pub outcome: Ending,
    /// The run's fencing number; of somebody else's run where the lease was not free.
    pub fence: u64,
    /// Pages committed.
    pub pages: u64,
    /// What they did, by name.
    pub counts: BTreeMap<String, u64>,
    /// What a person should know of it.
    pub notes: Vec<String>,
}

/// Why a run failed. What it committed stays, its record says why, and the next run begins with the page that failed.
#[derive(Debug, thiserror::Error)]
#[error("job {job} failed on page {page} of pass {pass}: {error}")]
pub struct RunError {
    /// The job.
    pub job: &'static str,
    /// The pass; nil where the lease could not be taken.
    pub pass: Uuid,
    /// The page that failed, from 0.
    pub page: u64,
    /// Why, with all sources.
    pub error: String,
}

/// How a page ended that did not just go on.
enum Stop {
    /// Somebody else has the lease.
    Ousted,
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

/// A page as it was decided.
struct Decided {
    lease: Lease,
    counts: BTreeMap<&'static str, u64>,
    notes: Vec<String>,
}

/// Nobody may go on under this lease.
struct Lost;

impl<J: Job> Runner<J> {
    /// A runner of a job.
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

    /// One run, which ends before the deadline: takes the lease, then pages until the pass is done or the time is up.
    ///
    /// # Errors
    /// [`RunError`] when a page failed or the lease could not be taken.
    pub async fn run(&self, deadline: Timestamp) -> Result<Report, RunError> {
        let started = self.clock().now();
        let (lease, mut record) = match self.take(started).await {
            Ok(Ok(taken)) => taken,
            Ok(Err(held)) => {
                tracing::info!(
                    job = J::NAME,
                    fence = held.as_ref().map(|lease| lease.fence),
                    held_until = held.as_ref().map(|lease| lease.held_until.to_string()),
                    outcome = Ending::Busy.as_str(),
                    "another run has the lease"
                );
                return Ok(Report {
                    job: J::NAME,
                    outcome: Ending::Busy,
                    fence: held.map_or(0, |lease| lease.fence),
                    pages: 0,
                    counts: BTreeMap::new(),
                    notes: Vec::new(),
                });
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
            Err(Stop::Ousted) => (Ending::Ousted, None),
            Err(Stop::Failed(error)) => (Ending::Failed, Some(error)),
        };
        record.outcome = Some(outcome);
        record.error = error.as_deref().map(cut);
        if outcome != Ending::Ousted {
            self.give_back(&lease, &mut record).await;
        }
        self.tell(&record, outcome, error.as_deref());
        // Pages that were committed count, however the run ended.
        super::metrics::<J>(&self.settings.stage, &record.counts).flush();
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
            Ending::Ousted => tracing::warn!(
                job,
                fence,
                pass,
                first_page,
                pages,
                counts,
                notes,
                duration_ms,
                outcome = outcome_word,
                "another run took the lease away; stopped at once"
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

    /// Takes the lease where it is free, with the run's record; else says who has it, as far as that can be told.
    async fn take(
        &self,
        now: Timestamp,
    ) -> Result<Result<(Lease, RunRecord), Option<Lease>>, Error> {
        let before = self.read().await?;
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

    /// Pages, until there is a reason to stop. The lease is as this run knows it.
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
            // An ousted runner must not act: it does not even begin a page that its lease may not outlast.
            if lease.held_until.since(now) < needs {
                let renewed = lease.held(self.clock().uuid(), now.plus(self.settings.lease));
                match self.write(lease.unchanged(), &renewed, None).await {
                    Ok(Ok(())) => lease = renewed,
                    Ok(Err(Lost)) => return (lease, Err(Stop::Ousted)),
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

    /// One page within its time limit, its panic caught.
    async fn page(&self, lease: &Lease) -> Result<Decided, Stop> {
        let cursor: Option<J::Cursor> = lease
            .cursor
            .as_deref()
            .map(serde_json::from_str)
            .transpose()
            .map_err(|error| {
                Stop::Failed(format!(
                    "the cursor cannot be read by this code ({error}): deploy the code that wrote it, or give the pass up \
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
            // Nobody else writes this mark without the lease.
            Ok(Ok(Ok(Outcome::AlreadyDone(_) | Outcome::Refused(Lost)))) => Err(Stop::Ousted),
            Ok(Ok(Ok(Outcome::Contention))) => Err(Stop::Failed(
                "others kept changing the same state".to_owned(),
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
        // A conflict may have been with whoever took the lease.
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

    /// Completes the record and gives the lease back, in one transaction. Where that cannot be done the lease ends by itself.
    async fn give_back(&self, lease: &Lease, record: &mut RunRecord) {
        match tokio::time::timeout(MARGIN, self.try_give_back(lease, record)).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(Lost))) => tracing::warn!(
                job = J::NAME,
                fence = lease.fence,
                "another run took the lease away before this one gave it back"
            ),
            Ok(Err(error)) => tracing::warn!(
                job = J::NAME, fence = lease.fence, error = %chain(&error),
                "cannot give the lease back; it ends by itself"
            ),
            Err(_) => tracing::warn!(
                job = J::NAME,
                fence = lease.fence,
                "no time to give the lease back; it ends by itself"
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
            // A page whose answer was lost or came too late may have been committed: then the row is ours all the same.
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

    /// Writes the lease's row, and a record of the run, where the condition holds of the lease. A lost answer is settled by
    /// reading the row: every writing of it is different.
    async fn write(
        &self,
        expected: Condition,
        lease: &Lease,
        record: Option<(&RunRecord, Condition)>,
    ) -> Result<Result<(), Lost>, Error> {
        let lease_key = self.lease_key()?;
        let mut writes = vec![Write::Put {
            item: encode_item(&lease_key, lease)?,
            key: lease_key,
            condition: expected,
        }];
        if let Some((record, condition)) = record {
            let key = record_key(self.outbox.marks_table()?, J::NAME, record.fence);
            writes.push(Write::Put {
                item: encode_item(&key, record)?,
                key,
                condition,
            });
        }
        let prepared = Prepared {
            token: self.clock().uuid().to_string(),
            writes,
        };
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

/// The lease's row as one writing leaves it: every writing of it is different.
struct RowOf<'a, J> {
    runner: &'a Runner<J>,
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
        // Our own earlier sending may be what it met.
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
