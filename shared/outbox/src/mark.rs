//! Marks: the rows that make a transaction unrepeatable.

use std::time::Duration;

use events::{Envelope, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Key, Table, in_order::Progress};

/// How long a mark lives: longer than every way its event can come back (lane 4 days + letters 14 + redriven copy 4).
pub const MARK_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// The largest answer a request's mark holds, in bytes of JSON.
pub const ANSWER_MAX_BYTES: usize = 4 * 1024;

/// The largest mark key in bytes: DynamoDB's limit for a partition key
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
const KEY_MAX_BYTES: usize = 2_048;

/// Why a mark was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The answer to keep is too large.
    #[error("the answer has {bytes} bytes; a mark holds at most {ANSWER_MAX_BYTES}")]
    AnswerTooLarge {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The request's path and key are too long together.
    #[error(
        "path and idempotency key have {bytes} bytes together; at most {KEY_MAX_BYTES} fit a mark"
    )]
    KeyTooLong {
        /// Their size in bytes.
        bytes: usize,
    },
}

/// What must not happen twice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Mark {
    /// A caller's request.
    Request {
        /// The API key's owner.
        owner: String,
        /// HTTP method.
        method: String,
        /// Full request path, not the route's template.
        path: String,
        /// The caller's `Idempotency-Key`.
        key: String,
        /// SHA-256 of the body, hexadecimal: the same key with another body is another request.
        body_sha256: String,
    },
    /// A consumer's handling of an event; the name of the consumer is part of the identity and never changes.
    Event {
        /// The consumer's name.
        consumer: &'static str,
        /// The event's identity for deduplication, by [`Mark::event`].
        event: String,
    },
    /// One side of an episode of something that comes and goes, e.g. an alert.
    Episode {
        /// What comes and goes.
        name: &'static str,
        /// Which time.
        number: u64,
        /// `opened` or `closed`.
        phase: &'static str,
    },
    /// One page of a scheduled or fan-out job, with the fencing number of the run that wrote it.
    JobPage {
        /// The job's name.
        job: &'static str,
        /// Which pass over the job's work; a pass that is given up and begun anew is another one.
        run: String,
        /// Which page, from 0.
        page: u64,
        /// The fencing number of the lease.
        fence: u64,
    },
    /// An in-order consumer's advance over an aggregate's events. Its row is the cursor itself.
    Cursor {
        /// How far it was when this was decided.
        from: Progress,
        /// The number of the last event it is done with afterwards.
        to: u64,
    },
}

impl Mark {
    /// A consumer's mark of an event: by type, aggregate and idempotency key where the event has such a key (an equal key
    /// under another id is a duplicate), else by its id.
    #[must_use]
    pub fn event(consumer: &'static str, envelope: &Envelope) -> Self {
        let event = match &envelope.idempotency_key {
            Some(key) => {
                format!(
                    "{}#{}#{}#{key}",
                    envelope.event_type, envelope.aggregate_type, envelope.aggregate_id
                )
            }
            None => envelope.event_id.to_string(),
        };
        Self::Event { consumer, event }
    }

    /// The mark's key. The parts of all kinds but the last of each cannot hold `#`, so two marks never share a key.
    ///
    /// # Errors
    /// [`MarkError::KeyTooLong`].
    pub fn key(&self, marks: &Table) -> Result<Key, MarkError> {
        let text = match self {
            Self::Request {
                owner,
                method,
                path,
                key,
                ..
            } => {
                // A raw path has no '#': it would have been the fragment.
                format!("request#{owner}#{method}#{path}#{key}")
            }
            Self::Event { consumer, event } => format!("event#{consumer}#{event}"),
            Self::Episode {
                name,
                number,
                phase,
            } => format!("episode#{name}#{number}#{phase}"),
            Self::JobPage { job, run, page, .. } => format!("job#{job}#{run}#{page}"),
            Self::Cursor { from, .. } => return from.key(marks),
        };
        bounded_key(marks, text)
    }

    /// The mark's kind, for people and filters.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Event { .. } => "event",
            Self::Episode { .. } => "episode",
            Self::JobPage { .. } => "job_page",
            Self::Cursor { .. } => "cursor",
        }
    }

    /// SHA-256 of a request's body, hexadecimal.
    #[must_use]
    pub fn body_sha256(body: &[u8]) -> String {
        use std::fmt::Write as _;
        Sha256::digest(body)
            .iter()
            .fold(String::with_capacity(64), |mut text, byte| {
                // Writing to a String cannot fail.
                write!(text, "{byte:02x}").ok();
                text
            })
    }
}

/// A key of the marks' table, where it is not too long.
pub(crate) fn bounded_key(marks: &Table, text: String) -> Result<Key, MarkError> {
    if text.len() > KEY_MAX_BYTES {
        return Err(MarkError::KeyTooLong { bytes: text.len() });
    }
    Ok(marks.single_key(text))
}

/// What a caller was answered, kept for its repeats; never holds a secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// JSON body.
    pub body: Value,
}

/// A mark as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Done {
    /// The kind of mark.
    pub kind: String,
    /// The client request token of the transaction that wrote it: tells our own lost commit from somebody else's.
    pub token: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it may go, in seconds since 1970 (DynamoDB TTL); a cursor never does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// SHA-256 of the request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// The fencing number of a job's page.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The first answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}
