//! The way back after longer outages: a walk over the whole event log that publishes what is still pending.
//!
//! The stream keeps a record for 24 hours. Events that could not be published in that time, and those the bus refused
//! for good until somebody mended the cause, are pending rows in the log, and this finds them.
//!
//! * **Order.** A scan has none. Each page's rows are put in order by aggregate and sequence and published through the same
//!   [`Relay`]: an aggregate's events of a page are started in order, none while an earlier one of the page is unpublished,
//!   and a page begins only when the one before is done. Across pages, and next to the stream, an aggregate's events may
//!   arrive in any order: consumers rely on marks, guards and cursors, never on arrival.
//! * **Repeats.** A row that the relay publishes at the same moment is published twice. Rows younger than
//!   [`Options::older_than`] are left alone because the stream is still on them.
//! * **Cost.** The walk reads every row of the log, published ones too: 262,144 read units per GB (one per 4 KB, consistent
//!   reads), plus per event found pending the bus's price and the write units of its row. [`Options::rows_per_second`]
//!   paces the reading, and with it everything else.
//! * **Stopping.** Whatever ends the walk, [`Summary::next`] says where to go on; nothing before it needs another look.

use std::time::Duration;

use crate::{
    Clock, Cursor, Error, Store, Table,
    execute::chain,
    log,
    relay::{Relay, RelayError},
};

/// Rows read at once: few enough that a page's events are published well within a relay's time budget.
const PAGE: u32 = 100;

/// Pauses between tries of a page that could not be published.
const RETRY_PAUSES: [Duration; 3] = [
    Duration::from_secs(1),
    Duration::from_secs(5),
    Duration::from_secs(15),
];

/// What to walk over, and how fast.
#[derive(Debug, Clone)]
pub struct Options {
    /// Rows read per second, at least 1; published ones count too.
    pub rows_per_second: u32,
    /// Only rows committed at least so long ago; at least as long as the stream keeps trying, unless it is known to be
    /// stopped.
    pub older_than: Duration,
    /// Also rows that the bus refused for good: when the cause was mended.
    pub include_failed: bool,
    /// Go on behind this; `None` begins at the beginning.
    pub after: Option<Cursor>,
    /// Publish at most so many events, at least 1; `None` for all.
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

/// What a walk has done so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Pages read.
    pub pages: u64,
    /// Published and recorded.
    pub published: u64,
    /// Published by this program before, only recorded now.
    pub recorded: u64,
    /// Refused by the bus for good; the row says why.
    pub refused: u64,
    /// Pending, but younger than asked for.
    pub too_young: u64,
    /// Refused for good earlier and left alone, as asked.
    pub left_failed: u64,
    /// Rows that cannot be read.
    pub unreadable: u64,
}

/// How a walk ended.
#[derive(Debug)]
pub struct Summary {
    /// What it did.
    pub counts: Counts,
    /// Where to go on; `None` when the whole log was walked over.
    pub next: Option<Cursor>,
    /// Why it ended early; `None` at the end of the log or at [`Options::limit`].
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

/// Publishes the log's pending rows and records it. `progress` hears after each page what was done so far and where the
/// walk would go on.
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
    // A page's share of time. That a page may hold fewer rows (DynamoDB ends one at 1 MB) only makes the walk slower.
    let page_time = Duration::from_secs(1) * page_rows / rate;
    loop {
        let begun = clock.now();
        let (rows, next) = match log::pending(store, events, after.clone(), page_rows).await {
            Ok(page) => page,
            Err(error) => return ended(counts, after, Some(RepublishError::Read(error))),
        };
        counts.pages += 1;
        let (page, cut) = choose(rows, events, clock, options, &mut counts);
        if !page.is_empty()
            && let Err(error) = publish(relay, clock, page, &mut counts).await
        {
            return ended(counts, after, Some(error.into()));
        }
        let full = cut.is_some();
        after = cut.or(next);
        progress(&counts, after.as_ref());
        let published = counts.published + counts.recorded;
        if after.is_none() || full || options.limit.is_some_and(|limit| published >= limit) {
            return ended(counts, after, None);
        }
        clock
            .sleep(page_time.saturating_sub(clock.now().since(begun)))
            .await;
    }
}

fn ended(counts: Counts, next: Option<Cursor>, error: Option<RepublishError>) -> Summary {
    Summary {
        counts,
        next,
        error,
    }
}

/// The rows of a page that are to be published, in the order of their aggregates' numbers, and, where the limit cuts the
/// page, the cursor behind the last of them as the scan returned them.
fn choose(
    rows: Vec<Result<log::Row, &'static str>>,
    events: &Table,
    clock: &dyn Clock,
    options: &Options,
    counts: &mut Counts,
) -> (Vec<log::Row>, Option<Cursor>) {
    let mut chosen: Vec<log::Row> = Vec::new();
    for row in rows {
        let row = match row {
            Ok(row) => row,
            Err(attribute) => {
                tracing::error!(attribute, "a row of the event log cannot be read");
                counts.unreadable += 1;
                continue;
            }
        };
        if clock.now().since(row.committed_at) < options.older_than {
            counts.too_young += 1;
        } else if row.failed_at().is_some() && !options.include_failed {
            counts.left_failed += 1;
        } else {
            let done = counts.published + counts.recorded;
            let full = options
                .limit
                .is_some_and(|limit| done + count(chosen.len()) >= limit);
            if let (true, Some(last)) = (full, chosen.last()) {
                let cut = Cursor::at(events, None, last.item());
                return (in_order(chosen), Some(cut));
            }
            chosen.push(row);
        }
    }
    (in_order(chosen), None)
}

/// The relay starts an aggregate's events in the order in which it gets them.
fn in_order(mut rows: Vec<log::Row>) -> Vec<log::Row> {
    rows.sort_by(|one, other| {
        (&one.aggregate, one.sequence).cmp(&(&other.aggregate, other.sequence))
    });
    rows
}

/// Publishes a page, with a few pauses: the bus may be throttling, and a walk of hours should outlast that.
async fn publish(
    relay: &Relay,
    clock: &dyn Clock,
    rows: Vec<log::Row>,
    counts: &mut Counts,
) -> Result<(), RelayError> {
    let items: Vec<_> = rows.iter().map(|row| row.item().clone()).collect();
    let mut refused = std::collections::BTreeSet::new();
    let mut published = 0_u64;
    let mut pauses = RETRY_PAUSES.iter();
    loop {
        let invocation = relay.relay(items.clone()).await;
        let report = invocation.report;
        counts.published += count(report.published.len());
        published += count(report.published.len());
        refused.extend(report.failed.into_iter().map(|(event_id, _)| event_id));
        let Some(error) = invocation.error else {
            counts.refused += count(refused.len());
            counts.recorded += count(items.len()).saturating_sub(published + count(refused.len()));
            return Ok(());
        };
        let Some(pause) = pauses.next() else {
            return Err(error);
        };
        tracing::warn!(error = %chain(&error), "a page could not be published, trying again");
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
