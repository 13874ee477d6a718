//! The rows of a job in the marks' table: the lease, which never expires, and a record per run.

use std::{collections::BTreeMap, time::Duration};

use events::Timestamp;
use outbox::{Condition, Error, Key, Store, Table, decode_item};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

/// How long the record of a run is kept.
pub const RUN_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The most notes of a run that its record keeps.
pub const NOTES_MAX: usize = 20;

/// The longest note in characters; what is longer is cut.
pub const NOTE_MAX_CHARS: usize = 300;

/// Who may run, until when, and where the pass stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Grows with every run: what a runner that was ousted still writes carries a lower one, and is refused.
    pub fence: u64,
    /// Tells every writing of this row from every other one.
    pub writing: Uuid,
    /// Nobody else takes over before this.
    pub held_until: Timestamp,
    /// Which pass.
    pub pass: Uuid,
    /// When the pass began.
    pub pass_started_at: Timestamp,
    /// The pass is under way: the next run goes on with it.
    pub unfinished: bool,
    /// The next page of the pass, from 0.
    pub page: u64,
    /// Where the next page begins, as JSON; absent at the beginning of a pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<String>,
    /// What the pass has done so far, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
}

impl Lease {
    /// The lease as a new run takes it: an unfinished pass is gone on with.
    pub(crate) fn taken(
        before: Option<&Self>,
        writing: Uuid,
        now: Timestamp,
        span: Duration,
    ) -> Self {
        // A lease whose row somebody has removed begins above every number it can have had, so that a fencing number is
        // never given twice: a job runs less than once a second.
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

    /// The lease behind a page of the pass; no cursor is the pass's end.
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

    /// The same lease until another time; until now it is given back.
    pub(crate) fn held(&self, writing: Uuid, held_until: Timestamp) -> Self {
        Self {
            writing,
            held_until,
            ..self.clone()
        }
    }

    /// What must hold for a write that was decided on this reading: nobody has written the row since, not even this run.
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

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// The pass is done.
    Finished,
    /// Its time was up: the next run goes on with the pass.
    Continues,
    /// An error: the next run begins with the page that failed.
    Failed,
    /// Somebody else had the lease: nothing was done, and nothing is recorded.
    Busy,
    /// Somebody else took the lease away, because this run was too slow to keep it: it stopped at once, and wrote nothing
    /// more, its own record's end neither.
    Ousted,
}

impl Ending {
    /// The word logs and records use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Finished => "finished",
            Self::Continues => "continues",
            Self::Failed => "failed",
            Self::Busy => "busy",
            Self::Ousted => "ousted",
        }
    }
}

/// What is known of a run: written when it begins, completed when it ends. Without an end it is still under way, was
/// killed, or was ousted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The job.
    pub job: String,
    /// The run's fencing number.
    pub fence: u64,
    /// The pass it worked on.
    pub pass: Uuid,
    /// The page it began with, from 0.
    pub first_page: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// How it ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Ending>,
    /// Pages committed.
    #[serde(default)]
    pub pages: u64,
    /// What they did, by name.
    #[serde(default)]
    pub counts: BTreeMap<String, u64>,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// What a person should know of it.
    #[serde(default)]
    pub notes: Vec<String>,
    /// Notes that were not kept.
    #[serde(default)]
    pub notes_left_out: u64,
    /// When it may go, in seconds since 1970 (DynamoDB TTL).
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

/// Where a job's lease stands.
pub(crate) fn lease_key(marks: &Table, job: &str) -> Key {
    marks.single_key(lease_pk(job))
}

/// Where the record of a run stands.
pub(crate) fn record_key(marks: &Table, job: &str, fence: u64) -> Key {
    marks.single_key(format!("run#{job}#{fence}"))
}

/// Reads a job's lease; `None` where it never ran.
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

/// Reads the records of a job's last `last` runs, the youngest first. Records that are gone (30 days) are left out.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn runs(
    store: &dyn Store,
    marks: &Table,
    job: &str,
    last: u32,
) -> Result<Vec<RunRecord>, Error> {
    let Some(lease) = self::lease(store, marks, job).await? else {
        return Ok(Vec::new());
    };
    let keys: Vec<Key> = (0..u64::from(last))
        .map_while(|back| lease.fence.checked_sub(back))
        .map(|fence| record_key(marks, job, fence))
        .collect();
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    store
        .get_many(&keys)
        .await?
        .into_iter()
        .zip(&keys)
        .filter_map(|(item, key)| Some(decode_item(key, item?)))
        .collect()
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
