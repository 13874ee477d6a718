//! The rows of a job in the marks' table: the lease, which never expires, and a record per run.

use std::{collections::BTreeMap, time::Duration};

use events::Timestamp;
use futures::future::try_join_all;
use outbox::{Condition, Error, Key, Store, Table, decode_item};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// How long the record of a run is kept.
pub const RUN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The largest number of notes that a run's record keeps.
pub const NOTES_MAX: usize = 20;

/// The length of the longest note in characters; a longer note is cut.
pub const NOTE_MAX_CHARS: usize = 300;

/// Which run may work, until when, and how far the pass has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// The fencing number, which grows with every run. A run that lost its lease writes with a lower number and is
    /// refused.
    pub fence: u64,
    /// Identifies each write of this row.
    pub writing: Uuid,
    /// No other run takes over before this time.
    pub held_until: Timestamp,
    /// The pass.
    pub pass: Uuid,
    /// When the pass began.
    pub pass_started_at: Timestamp,
    /// Whether the pass is unfinished: the next run then continues it.
    pub unfinished: bool,
    /// The next page of the pass, from 0.
    pub page: u64,
    /// The cursor at which the next page begins, as JSON; absent at the beginning of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// Counts of what the pass has done so far, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

impl Lease {
    /// The lease of a new run. The run continues an unfinished pass.
    pub(crate) fn taken(
        before: Option<&Self>,
        writing: Uuid,
        now: Timestamp,
        span: Duration,
    ) -> Self {
        // If an operator removed the row, the new lease must start above every earlier fencing number, so that no
        // number is used twice. Seconds since 1970 ensure that, because a job runs less than once a second.
        let first = u64::try_from(now.unix_seconds()).unwrap_or(1).max(1);
        let fence = before.map_or(first, |lease| lease.fence + 1);
        let going_on = before.filter(|lease| lease.unfinished);
        Self {
            fence,
            writing,
            held_until: now.plus(span),
            pass: going_on.map_or(writing, |lease| lease.pass),
            pass_started_at: going_on.map_or(now, |lease| lease.pass_started_at),
            unfinished: true,
            page: going_on.map_or(0, |lease| lease.page),
            cursor: going_on.and_then(|lease| lease.cursor.clone()),
            counts: going_on.map_or_else(BTreeMap::new, |lease| lease.counts.clone()),
        }
    }

    /// The lease after a page of the pass. Without a cursor the pass is finished.
    pub(crate) fn advanced(
        &self,
        cursor: Option<String>,
        counts: &BTreeMap<&'static str, u64>,
        writing: Uuid,
        held_until: Timestamp,
    ) -> Self {
        let mut next = self.held(writing, held_until);
        next.page += 1;
        next.unfinished = cursor.is_some();
        next.cursor = cursor;
        add(&mut next.counts, counts);
        next
    }

    /// The same lease with another end. If it ends now, the run gives it back.
    pub(crate) fn held(&self, writing: Uuid, held_until: Timestamp) -> Self {
        Self {
            writing,
            held_until,
            ..self.clone()
        }
    }

    /// The condition that no run, not even this one, has written the row since this read.
    pub(crate) fn unchanged(&self) -> Condition {
        Condition::Equals(vec![
            ("fence", Value::from(self.fence)),
            ("writing", Value::from(self.writing.to_string())),
        ])
    }
}

/// Adds counts by name.
pub(crate) fn add(sums: &mut BTreeMap<String, u64>, counts: &BTreeMap<&'static str, u64>) {
    for (name, n) in counts {
        let sum = sums.entry((*name).to_owned()).or_default();
        *sum = sum.saturating_add(*n);
    }
}

/// What a scheduled job is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum JobState {
    /// It never ran, or never had anything to do.
    NeverRan,
    /// It is between two passes.
    Idle,
    /// The next run goes on with its pass.
    Unfinished,
    /// A run holds the lease.
    Running,
}

impl JobState {
    /// What a job with this lease is at.
    #[must_use]
    pub fn of(lease: Option<&Lease>, now: Timestamp) -> Self {
        match lease {
            None => Self::NeverRan,
            Some(lease) if lease.held_until > now => Self::Running,
            Some(lease) if lease.unfinished => Self::Unfinished,
            Some(_) => Self::Idle,
        }
    }
}

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Ending {
    /// The pass is finished.
    Finished,
    /// The run's time was up: the next run continues the pass.
    Continues,
    /// The run failed: the next run begins with the page that failed.
    Failed,
    /// Another run had the lease: this run did nothing and recorded nothing.
    Busy,
    /// The run lost its lease to another run, because it was too slow to keep it. It stopped at once and wrote nothing
    /// more, not even the end of its own record.
    #[serde(rename = "ousted")]
    LeaseLost,
}

impl Ending {
    /// The ending's name in logs and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Continues => "continues",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::LeaseLost => "ousted",
        }
    }
}

/// The record of a run: written when the run begins and completed when it ends. If the end is missing, the run is still
/// under way, was killed, or lost its lease.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The job.
    pub job: String,
    /// The run's fencing number.
    pub fence: u64,
    /// The pass that the run worked on.
    pub pass: Uuid,
    /// The page that the run began with, from 0.
    pub first_page: u64,
    /// When the run began.
    pub started_at: Timestamp,
    /// When the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How the run ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
    /// The number of committed pages.
    #[serde(default)]
    pub pages: u64,
    /// Counts of what the pages did, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Why the run failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Notes for the operator.
    #[serde(default)]
    pub notes: Vec<String>,
    /// The number of notes that were not kept.
    #[serde(default)]
    pub notes_left_out: u64,
    /// When the record expires, in seconds since 1970 (DynamoDB TTL).
    pub expires_at: i64,
}

impl RunRecord {
    pub(crate) fn begun(job: &str, lease: &Lease, now: Timestamp) -> Self {
        Self {
            job: job.to_owned(),
            fence: lease.fence,
            pass: lease.pass,
            first_page: lease.page,
            started_at: now,
            ended_at: None,
            outcome: None,
            pages: 0,
            counts: BTreeMap::new(),
            error: None,
            notes: Vec::new(),
            notes_left_out: 0,
            expires_at: now.plus(RUN_LIFE).unix_seconds(),
        }
    }

    pub(crate) fn note(&mut self, notes: Vec<String>) {
        for note in notes {
            if self.notes.len() < NOTES_MAX {
                self.notes.push(cut(&note));
            } else {
                self.notes_left_out += 1;
            }
        }
    }
}

/// The beginning of a text, within the limit of a note.
pub(crate) fn cut(text: &str) -> String {
    match text.char_indices().nth(NOTE_MAX_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", &text[..at]),
    }
}

/// The partition key of a job's lease.
pub(crate) fn lease_pk(job: &str) -> String {
    format!("lease#{job}")
}

/// The key of a job's lease.
pub(crate) fn lease_key(marks: &Table, job: &str) -> Key {
    marks.single_key(lease_pk(job))
}

/// The key of a run's record.
pub(crate) fn record_key(marks: &Table, job: &str, fence: u64) -> Key {
    marks.single_key(format!("run#{job}#{fence}"))
}

/// Reads a job's lease; `None` if the job never ran.
///
/// # Errors
/// [`Error`] when the store fails or the row cannot be read.
pub async fn lease(store: &dyn Store, marks: &Table, job: &str) -> Result<Option<Lease>, Error> {
    let key = lease_key(marks, job);
    match store.get(&key).await? {
        Some(item) => decode_item(&key, item).map(Some),
        None => Ok(None),
    }
}

/// Reads the records of a job's last `last` runs, newest first. Records that have expired (30 days) are left out.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn runs(
    store: &dyn Store,
    marks: &Table,
    job: &str,
    last: u32,
) -> Result<Vec<RunRecord>, Error> {
    Ok(look(store, marks, job, last).await?.1)
}

/// Reads a job's lease, and the records of its last `last` runs as [`runs`] does.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn look(
    store: &dyn Store,
    marks: &Table,
    job: &str,
    last: u32,
) -> Result<(Option<Lease>, Vec<RunRecord>), Error> {
    let Some(lease) = self::lease(store, marks, job).await? else {
        return Ok((None, Vec::new()));
    };
    let keys: Vec<Key> = (0..u64::from(last))
        .map_while(|back| lease.fence.checked_sub(back))
        .map(|fence| record_key(marks, job, fence))
        .collect();
    // Few rows, read one by one: a function that may read a mark may read them.
    let items = try_join_all(keys.iter().map(|key| store.get(key))).await?;
    let runs = items
        .into_iter()
        .zip(&keys)
        .filter_map(|(item, key)| Some(decode_item(key, item?)));
    Ok((Some(lease), runs.collect::<Result<_, _>>()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_note_is_cut_and_too_many_are_counted() {
        assert_eq!(cut("short"), "short");
        let long = "é".repeat(NOTE_MAX_CHARS + 1);
        assert_eq!(cut(&long).chars().count(), NOTE_MAX_CHARS + 1);
        assert!(cut(&long).ends_with('…'));
        let lease = Lease::taken(None, Uuid::nil(), Timestamp::EPOCH, Duration::ZERO);
        let mut record = RunRecord::begun("job", &lease, Timestamp::EPOCH);
        record.note(vec!["note".to_owned(); NOTES_MAX + 3]);
        assert_eq!((record.notes.len(), record.notes_left_out), (NOTES_MAX, 3));
    }
}
