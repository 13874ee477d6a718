//! The pages of a republication: events of the event log that are still pending, published to the bus.
//!
//! A page publishes the pending rows among the next rows of the log, records them as published as the relay does, and writes how
//! far it has come. A crash between the two reads the page again, and what was recorded is no longer pending. What was published
//! and not recorded is published twice: consumers ignore the second.
//!
//! If the bus cannot be reached, the same page comes again in the next pass: a republication is begun after an outage, which may
//! not be over. After ten such pages it pauses itself, for it may be no outage.

use std::time::Duration;

use consumer::Failure;
use events::{Timestamp, contracts::operation::RepublishSelection};
use letters::{Operation, operation::Progress, replay::ROWS_PER_SECOND};
use outbox::{
    Outbox, chain,
    relay::Relay,
    republish::{self, Choice, Counts, PAGE},
};

use crate::replay::{End, Page, cursor};

/// How long a republication rests at least after the bus, or the log, could not be reached: for longer than a page waits, so that
/// the pass ends meanwhile.
const AFTER_AN_OUTAGE: Duration = Duration::from_secs(15);

/// After how many such pages in a row it pauses itself.
const PATIENCE: u32 = 10;

/// A republication and what it needs.
pub(crate) struct Republish<'a> {
    pub(crate) outbox: &'a Outbox,
    pub(crate) relay: &'a Relay,
    pub(crate) operation: &'a Operation,
    pub(crate) selection: RepublishSelection,
}

impl Republish<'_> {
    /// A page at a time.
    pub(crate) async fn page(&self, before: &Progress, now: Timestamp) -> Result<Page, Failure> {
        let (mut page, goes_on) = Page::of(self.operation, before);
        if goes_on {
            self.carry_on(&mut page, now).await?;
        }
        Ok(page)
    }

    async fn carry_on(&self, page: &mut Page, now: Timestamp) -> Result<(), Failure> {
        let mut reached = page.progress.replay.clone().unwrap_or_default();
        let limit = self.selection.limit;
        let left = limit.map(|limit| limit.saturating_sub(page.progress.counts.sent));
        if reached.is_through || left == Some(0) {
            page.end = End::Over;
            return Ok(());
        }
        let after = cursor(reached.after.as_deref())?;
        let rate = self.operation.rate_per_second().clamp(1, PAGE);
        let choice = Choice {
            until: self.selection.to,
            include_failed: self.selection.include_failed,
            limit: Some(left.unwrap_or(rate).min(rate).into()),
            pauses: &[],
        };
        let events = self.outbox.events_table().map_err(outbox::Error::from)?;
        let (store, clock) = (self.outbox.store(), &**self.outbox.clock());
        // Rows that are read and not published in the same page are read again: where most are pending, fewer are read.
        let rows = reached.rows_at_once.clamp(rate, PAGE);
        let (mut counts, place) = (Counts::default(), (after, rows));
        let walked = republish::page(
            self.relay,
            store,
            events,
            clock,
            &choice,
            place,
            &mut counts,
        )
        .await;
        self.count(page, &counts);
        let tried = counts.published + counts.recorded + counts.refused;
        match walked {
            Ok(walked) => {
                let read = if walked.is_cut {
                    tried + counts.left_failed + counts.too_young + counts.unreadable
                } else {
                    rows.into()
                };
                reached.rows = reached.rows.saturating_add(read);
                reached.rows_at_once = if walked.is_cut { rate } else { rows * 2 };
                reached.failures = 0;
                reached.is_through = walked.next.is_none();
                reached.after = walked.next.map(|cursor| cursor.to_text());
                let tried = u32::try_from(tried).unwrap_or(u32::MAX);
                let second = Duration::from_secs(1);
                let pause = (second * tried / rate).max(second * rows / ROWS_PER_SECOND);
                page.progress.not_before = Some(now.plus(pause));
                let is_full = limit.is_some_and(|limit| page.progress.counts.sent >= limit);
                page.end = if reached.is_through || is_full {
                    End::Over
                } else {
                    End::GoesOn
                };
            }
            Err(error) => {
                tracing::warn!(error = %chain(&error), "pending events cannot be published");
                *page.counts.entry("unavailable").or_default() += 1;
                reached.failures += 1;
                page.progress.not_before = Some(now.plus(AFTER_AN_OUTAGE));
                page.end = if reached.failures.is_multiple_of(PATIENCE) {
                    End::Paused(
                        "the bus, or the event log, has failed ten times in a row: the function's log says how",
                    )
                } else {
                    End::Rests
                };
            }
        }
        page.progress.replay = Some(reached);
        Ok(())
    }

    /// Counts what became of the rows.
    fn count(&self, page: &mut Page, counts: &Counts) {
        let all = &mut page.progress.counts;
        for (name, sum, count) in [
            ("sent", &mut all.sent, counts.published + counts.recorded),
            ("refused", &mut all.refused, counts.refused),
            ("left_failed", &mut all.left_failed, counts.left_failed),
            ("skipped", &mut all.skipped, counts.unreadable),
        ] {
            *sum = sum.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
            if count > 0 {
                *page.counts.entry(name).or_default() += count;
            }
        }
    }
}
