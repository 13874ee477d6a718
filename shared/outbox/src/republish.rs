//! Recovery after long outages: a walk over the whole event log that publishes the rows that are still pending.
//!
//! The stream keeps a record for 24 hours. Two kinds of event stay in the log as pending rows: events that could not be
//! published in that time, and events that the bus refused permanently. The walk finds and publishes both.
//!
//! * **Order.** A scan has no order. The walk sorts each page by aggregate and sequence and publishes it through the
//!   same [`Relay`]. Within a page, an aggregate's events are started in order, and none is started while an earlier
//!   one is unpublished. A page begins only when the page before it is done. Across pages, and relative to the stream,
//!   an aggregate's events can arrive in any order. Consumers rely on marks, version guards and cursors, never on the
//!   order of arrival.
//! * **Repeats.** If the relay publishes a row at the same moment, the event is published twice. The walk leaves rows
//!   younger than [`Options::older_than`] alone because the stream still delivers them.
//! * **Cost.** The walk reads every row of the log, published rows included: 262,144 read units per GB (one per 4 KB,
//!   consistent reads). Each pending event adds the bus's price and the write units of its row.
//!   [`Options::rows_per_second`] limits the rate of reading, and so the rate of everything else.
//! * **Stopping.** However the walk ends, [`Summary::next`] is the place to continue. Rows before it need no further
//!   walk.

use std::time::Duration;

use events::Timestamp;

use crate::{
    Clock, Cursor, Error, Store, Table,
    execute::chain,
    log,
    relay::{Relay, RelayError},
};

/// Rows per page at most: few enough that the relay publishes a page well within its time budget.
pub const PAGE: u32 = 100;

/// Pauses between attempts to publish a page.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// Which rows the walk publishes, and how fast it reads.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rows to read per second, at least 1. Published rows count too.
    pub rows_per_second: u32,
    /// The least age of a row since its commit. It must be at least as long as the stream keeps retrying, unless the
    /// stream is known to be stopped.
    pub older_than: Duration,
    /// Whether to include rows that the bus refused permanently; useful once the cause is fixed.
    pub include_failed: bool,
    /// The cursor to continue after; `None` starts at the beginning.
    pub after: Option<Cursor>,
    /// The largest number of events to publish, at least 1; `None` publishes all.
    pub limit: Option<u64>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            rows_per_second: 200,
            older_than: Duration::from_secs(24 * 60 * 60),
            include_failed: false,
            after: None,
            limit: None,
        }
    }
}

/// Which pending rows of a page are published.
#[derive(Debug, Clone, Copy)]
pub struct Choice {
    /// Only rows committed at this time or before.
    pub until: Timestamp,
    /// Whether to include rows that the bus refused permanently.
    pub include_failed: bool,
    /// The largest number of events that the whole walk publishes.
    pub limit: Option<u64>,
    /// Pauses between attempts to publish the page: one attempt more than there are pauses.
    pub pauses: &'static [Duration],
}

/// Where a page of the walk ended.
#[derive(Debug)]
pub struct Page {
    /// Where to go on; `None` at the end of the log.
    pub next: Option<Cursor>,
    /// Whether [`Choice::limit`] cut it.
    pub is_cut: bool,
}

/// What a walk has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages that were read.
    pub pages: u64,
    /// Events that were published and recorded.
    pub published: u64,
    /// Events that this process had published before and has only recorded now.
    pub recorded: u64,
    /// Events that the bus refused permanently; the row has the reason.
    pub refused: u64,
    /// Pending rows that are younger than [`Options::older_than`].
    pub too_young: u64,
    /// Rows that were refused permanently before and left alone, because [`Options::include_failed`] is off.
    pub left_failed: u64,
    /// Rows that cannot be read.
    pub unreadable: u64,
}

/// How a walk ended.
#[derive(Debug)]
pub struct Summary {
    /// What the walk did.
    pub counts: Counts,
    /// The cursor to continue after; `None` if the walk covered the whole log.
    pub next: Option<Cursor>,
    /// Why the walk ended early; `None` if it reached the end of the log or [`Options::limit`].
    pub error: Option<RepublishError>,
}

/// Why a walk ended early.
#[derive(Debug, thiserror::Error)]
pub enum RepublishError {
    /// The log could not be read.
    #[error("cannot read the event log")]
    Read(#[source] Error),
    /// Events of a page could not be published or recorded.
    #[error(transparent)]
    Publish(#[from] RelayError),
}

/// Publishes the log's pending rows and records each publication. After each page, `progress` is called with the counts
/// so far and the cursor from which the walk would continue.
pub async fn republish(
    relay: &Relay,
    store: &dyn Store,
    events: &Table,
    clock: &dyn Clock,
    options: &Options,
    mut progress: impl FnMut(&Counts, Option<&Cursor>),
) -> Summary {
    let mut counts = Counts::default();
    let mut after = options.after.clone();
    let rate = options.rows_per_second.max(1);
    let page_rows = rate.min(PAGE);
    // The time for one page. DynamoDB ends a page at 1 MB, so it can hold fewer rows; that only makes the walk slower.
    let page_time = Duration::from_secs(1) * page_rows / rate;
    loop {
        let begun = clock.now();
        let choice = Choice {
            until: begun.minus(options.older_than),
            include_failed: options.include_failed,
            limit: options.limit,
            pauses: &RETRY_PAUSES,
        };
        let place = after.clone();
        let walked = page(
            relay,
            store,
            events,
            clock,
            &choice,
            (place, page_rows),
            &mut counts,
        );
        let is_cut = match walked.await {
            Ok(page) => {
                after = page.next;
                page.is_cut
            }
            Err(error) => return ended(counts, after, Some(error)),
        };
        progress(&counts, after.as_ref());
        let published = counts.published + counts.recorded;
        if after.is_none() || is_cut || options.limit.is_some_and(|limit| published >= limit) {
            return ended(counts, after, None);
        }
        clock
            .sleep(page_time.saturating_sub(clock.now().since(begun)))
            .await;
    }
}

/// Publishes the pending rows of one page: the rows after a cursor, as many as given. `counts` are of the whole walk, and are
/// added to even if the page fails.
///
/// # Errors
/// [`RepublishError`]. The page can be walked again: what was published and recorded is no longer pending.
pub async fn page(
    relay: &Relay,
    store: &dyn Store,
    events: &Table,
    clock: &dyn Clock,
    choice: &Choice,
    (after, rows): (Option<Cursor>, u32),
    counts: &mut Counts,
) -> Result<Page, RepublishError> {
    let read = log::pending(store, events, after, rows).await;
    let (rows, next) = read.map_err(RepublishError::Read)?;
    let before = counts.clone();
    counts.pages += 1;
    let (chosen, cut) = choose(rows, events, choice, counts);
    if !chosen.is_empty()
        && let Err(error) = publish(relay, clock, chosen, choice.pauses, counts).await
    {
        // What was left alone is read again, and counted then.
        *counts = Counts {
            published: counts.published,
            recorded: counts.recorded,
            refused: counts.refused,
            ..before
        };
        return Err(error.into());
    }
    let is_cut = cut.is_some();
    Ok(Page {
        next: cut.or(next),
        is_cut,
    })
}

fn ended(counts: Counts, next: Option<Cursor>, error: Option<RepublishError>) -> Summary {
    Summary {
        counts,
        next,
        error,
    }
}

/// The rows of a page to publish, sorted by aggregate and sequence. If the limit cuts the page, also the cursor after
/// the last chosen row, in the order of the scan.
fn choose(
    rows: Vec<Result<log::LogRow, &'static str>>,
    events: &Table,
    choice: &Choice,
    counts: &mut Counts,
) -> (Vec<log::LogRow>, Option<Cursor>) {
    let mut chosen: Vec<log::LogRow> = Vec::new();
    // The counts up to the last chosen row: what follows it is read again if the page is cut.
    let mut up_to_last = counts.clone();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(attribute) => {
                tracing::error!(attribute, "a row of the event log cannot be read");
                counts.unreadable += 1;
                continue;
            }
        };
        if row.committed_at > choice.until {
            counts.too_young += 1;
        } else if row.failed_at().is_some() && !choice.include_failed {
            counts.left_failed += 1;
        } else {
            let done = counts.published + counts.recorded;
            let full = choice
                .limit
                .is_some_and(|limit| done + count(chosen.len()) >= limit);
            if let (true, Some(last)) = (full, chosen.last()) {
                let cut = Cursor::at(events, None, last.item());
                *counts = up_to_last;
                return (in_order(chosen), Some(cut));
            }
            chosen.push(row);
            up_to_last = counts.clone();
        }
    }
    (in_order(chosen), None)
}

/// Sorts the rows, because the relay starts an aggregate's events in the order in which it gets them.
fn in_order(mut rows: Vec<log::LogRow>) -> Vec<log::LogRow> {
    rows.sort_by(|one, other| {
        (&one.aggregate, one.sequence).cmp(&(&other.aggregate, other.sequence))
    });
    rows
}

/// Publishes a page, with a few retries: the bus can throttle, and a walk of several hours can survive that.
async fn publish(
    relay: &Relay,
    clock: &dyn Clock,
    rows: Vec<log::LogRow>,
    pauses: &[Duration],
    counts: &mut Counts,
) -> Result<(), RelayError> {
    let items: Vec<_> = rows.iter().map(|row| row.item().clone()).collect();
    let mut refused = std::collections::BTreeSet::new();
    let mut published = 0_u64;
    let mut pauses = pauses.iter();
    loop {
        let invocation = relay.relay(items.clone()).await;
        let report = invocation.report;
        // What could not be recorded is recorded by the next attempt, without publishing it again.
        if !matches!(invocation.error, Some(RelayError::Record(_))) {
            counts.published += count(report.published.len());
            published += count(report.published.len());
        }
        refused.extend(report.failed.into_iter().map(|(event_id, _)| event_id));
        let Some(error) = invocation.error else {
            counts.refused += count(refused.len());
            counts.recorded += count(items.len()).saturating_sub(published + count(refused.len()));
            return Ok(());
        };
        let Some(pause) = pauses.next() else {
            counts.refused += count(refused.len());
            return Err(error);
        };
        tracing::warn!(error = %chain(&error), "a page could not be published; trying again");
        match error {
            RelayError::CircuitOpen { until } => {
                clock.sleep(until.since(clock.now()).max(*pause)).await;
            }
            RelayError::Unpublished { .. } | RelayError::Record(_) => {
                clock.sleep_jittered(*pause, 20).await;
            }
        }
    }
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}
