//! The pages of a replay: events of the event log sent to one consumer.
//!
//! A page reads the next rows of the log, sends those that the consumer gets, and writes how far it has come. A crash between
//! the two sends the page again: the consumer's evidence makes that harmless. An aggregate is read in its order. Everything
//! else is a walk over the whole log, which has no order, and nothing here relies on one.
//!
//! The rate is kept by the pause before the next page, which is as long as the page's events and rows take at it.

use std::{collections::BTreeMap, time::Duration};

use consumer::Failure;
use events::{
    Priority, Selection, Timestamp,
    contracts::operation::{FirstReplay, OperationStatus, ReplaySelection},
};
use letters::{
    Operation,
    operation::{Progress, ReplayProgress},
    replay::{ROWS_PER_SECOND, Verdict, aggregate, verdict},
};
use outbox::{
    Cursor, Outbox,
    log::{LogRow, rows_of_all},
};
use topology::Deployment;

use crate::{
    job::AT_ONCE,
    lanes::{Lanes, SentBy, queue_of},
};

/// How many rows a page reads at most.
const ROWS_AT_ONCE: u32 = 100;

/// A replay and what it needs.
pub(crate) struct Replay<'a> {
    pub(crate) outbox: &'a Outbox,
    pub(crate) lanes: &'a dyn Lanes,
    pub(crate) deployment: &'a Deployment,
    pub(crate) operation: &'a Operation,
    pub(crate) selection: &'a ReplaySelection,
}

/// What a page did.
pub(crate) struct Page {
    /// How far the replay has come.
    pub(crate) progress: Progress,
    /// What follows.
    pub(crate) end: End,
    /// Counts for the run's record.
    pub(crate) counts: BTreeMap<&'static str, u64>,
}

impl Page {
    /// A page in which nothing has happened yet, and whether the operation's status lets anything happen.
    pub(crate) fn of(operation: &Operation, before: &Progress) -> (Self, bool) {
        let status = operation.status();
        let is_over = matches!(
            status,
            OperationStatus::Cancelled | OperationStatus::Finished
        );
        let page = Self {
            progress: before.clone(),
            end: if is_over { End::Over } else { End::Rests },
            counts: BTreeMap::new(),
        };
        (page, status == OperationStatus::Running)
    }
}

/// The place after which a walk goes on, as its text says; `None` for the beginning.
pub(crate) fn cursor(text: Option<&str>) -> Result<Option<Cursor>, Failure> {
    let read = |text| Cursor::from_text(text).ok_or_else(|| Failure::retry("no cursor"));
    text.map(read).transpose()
}

/// What follows a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The next page.
    GoesOn,
    /// Nothing, until it is resumed.
    Rests,
    /// It pauses itself, for this reason.
    Paused(&'static str),
    /// Nothing: it is finished.
    Over,
}

/// Rows of the log, and where to go on.
struct Read {
    rows: Vec<Result<LogRow, &'static str>>,
    /// The place after the last row. In a walk over the whole log, `None` at its end.
    after: Option<Cursor>,
    is_last: bool,
}

impl Replay<'_> {
    /// A page at a time.
    pub(crate) async fn page(&self, before: &Progress, now: Timestamp) -> Result<Page, Failure> {
        let (mut page, goes_on) = Page::of(self.operation, before);
        if goes_on {
            self.carry_on(&mut page, now).await?;
        }
        Ok(page)
    }

    /// How many events a page sends at most.
    fn at_once(&self) -> u32 {
        let most = u32::try_from(AT_ONCE).unwrap_or(u32::MAX);
        self.operation.rate_per_second().clamp(1, most)
    }

    async fn carry_on(&self, page: &mut Page, now: Timestamp) -> Result<(), Failure> {
        let mut reached = page.progress.replay.clone().unwrap_or_default();
        if reached.is_through {
            page.end = End::Over;
            return Ok(());
        }
        let listened = topology::function(self.selection.consumer.as_str())
            .and_then(|function| function.consumer())
            .map(|consumer| consumer.selection);
        let Some(listened) = listened.filter(|_| self.queue(Priority::Normal).is_some()) else {
            page.end = End::Paused("the consumer is not deployed");
            return Ok(());
        };
        let limit = reached.rows_at_once.clamp(self.at_once(), ROWS_AT_ONCE);
        let read = self.read(&reached, limit).await?;
        let (rows_read, messages) = self.send(page, &mut reached, &read, listened, now).await?;
        let is_cut = rows_read < read.rows.len();
        reached.is_through = !is_cut && read.is_last;
        if !is_cut && aggregate(self.selection).is_none() {
            reached.after = read.after.map(|cursor| cursor.to_text());
        }
        // Rows that are read and not sent in the same page are read again: where most fit, fewer are read.
        reached.rows_at_once = if is_cut {
            self.at_once()
        } else {
            limit.saturating_mul(2).min(ROWS_AT_ONCE)
        };
        let rows = u32::try_from(rows_read).unwrap_or(u32::MAX);
        reached.rows = reached.rows.saturating_add(rows.into());
        let second = Duration::from_secs(1);
        let sending = second * messages / self.operation.rate_per_second().max(1);
        let reading = second * rows / ROWS_PER_SECOND;
        page.progress.not_before = Some(now.plus(sending.max(reading)));
        page.end = if reached.is_through {
            End::Over
        } else {
            End::GoesOn
        };
        page.progress.replay = Some(reached);
        Ok(())
    }

    async fn read(&self, reached: &ReplayProgress, limit: u32) -> Result<Read, Failure> {
        if let Some(aggregate) = aggregate(self.selection) {
            let read = self.outbox.rows_after(&aggregate, reached.sequence, limit);
            let (rows, more) = read.await?;
            return Ok(Read {
                rows: rows.into_iter().map(Ok).collect(),
                after: None,
                is_last: !more,
            });
        }
        let events = self.outbox.events_table().map_err(outbox::Error::from)?;
        let after = cursor(reached.after.as_deref())?;
        let (rows, after) = rows_of_all(self.outbox.store(), events, after, limit).await?;
        Ok(Read {
            is_last: after.is_none(),
            rows,
            after,
        })
    }

    /// Sends what the consumer gets, until the page has sent enough. Returns how many rows are done, and how many messages
    /// were sent.
    async fn send(
        &self,
        page: &mut Page,
        reached: &mut ReplayProgress,
        read: &Read,
        listened: Selection,
        now: Timestamp,
    ) -> Result<(usize, u32), Failure> {
        let events = self.outbox.events_table().map_err(outbox::Error::from)?;
        let mut messages = 0;
        for (done, row) in read.rows.iter().enumerate() {
            let row = match row {
                Ok(row) => row,
                Err(attribute) => {
                    tracing::error!(attribute, "a row of the event log cannot be read");
                    continue;
                }
            };
            let verdict = verdict(self.selection, listened, row, now);
            if let Verdict::Send { priority, first } = verdict {
                if messages >= self.at_once() {
                    // The next page begins with this row.
                    return Ok((done, messages));
                }
                self.send_one(row, priority, first).await?;
                messages += 1;
            }
            count(page, verdict);
            if aggregate(self.selection).is_some() {
                reached.sequence = row.sequence;
            } else {
                reached.after = Some(row.cursor(events).to_text());
            }
        }
        Ok((read.rows.len(), messages))
    }

    fn queue(&self, priority: Priority) -> Option<String> {
        let consumer = self.selection.consumer.as_str();
        queue_of(self.deployment, consumer, Some(priority))
    }

    async fn send_one(
        &self,
        row: &LogRow,
        priority: Priority,
        first_replay: Option<FirstReplay>,
    ) -> Result<(), Failure> {
        let Some(queue) = self.queue(priority) else {
            let (consumer, event_type) = (&self.selection.consumer, &row.event_type);
            return Err(Failure::retry(format!(
                "{consumer} has no lane for {event_type}"
            )));
        };
        let by = SentBy {
            operation_id: self.operation.operation_id(),
            first_replay,
        };
        self.lanes.send(&queue, row.envelope_json(), by).await?;
        Ok(())
    }
}

/// Counts what became of a row.
fn count(page: &mut Page, verdict: Verdict) {
    let counts = &mut page.progress.counts;
    let (name, count) = match verdict {
        Verdict::Outside => return,
        Verdict::PassedOver => ("passed_over", &mut counts.passed_over),
        Verdict::TooOld => ("too_old", &mut counts.too_old),
        Verdict::Send { .. } => ("sent", &mut counts.sent),
    };
    *count = count.saturating_add(1);
    *page.counts.entry(name).or_default() += 1;
}
