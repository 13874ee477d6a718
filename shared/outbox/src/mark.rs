//! Marks: the rows that make a transaction unrepeatable.

use std::time::Duration;

use events::{Envelope, EventType, IdempotencyKey, LONGEST_FUNCTION_NAME, Timestamp};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::{Key, Table, in_order::Progress};

/// How long a mark is kept: longer than an event can come back by itself (14 days in the lane, 14 as a dead letter, 14 as
/// a redriven copy).
pub const MARK_LIFE: Duration = Duration::from_secs(60 * 24 * 60 * 60);

/// For how long after an event's `occurred_at` a missing mark proves that the event was not handled. The mark is written
/// when the event is handled and kept for [`MARK_LIFE`]; the two days of difference allow for clocks that differ and for
/// an `occurred_at` that another system set ahead. A consumer parks what is older and has no mark, because it cannot be
/// told from a repeat.
pub const REPEATS_KNOWN: Duration = Duration::from_secs(58 * 24 * 60 * 60);

/// The largest answer that a request's mark stores, in bytes of JSON.
pub const ANSWER_MAX_BYTES: usize = 4 * 1024;

/// The largest mark key in bytes: DynamoDB's limit for a partition key
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>, read 2026-11-21).
const KEY_MAX_BYTES: usize = 2_048;

/// The longest identity of an event in bytes with which every consumer's mark fits its key.
const IDENTITY_MAX_BYTES: usize = KEY_MAX_BYTES - "event##".len() - LONGEST_FUNCTION_NAME;

/// Why a mark was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MarkError {
    /// The answer to store is too large.
    #[error("the answer has {bytes} bytes; a mark holds at most {ANSWER_MAX_BYTES}")]
    AnswerTooLarge {
        /// The answer's size in bytes.
        bytes: usize,
    },
    /// An event's identity is too long for the mark of some consumer.
    #[error(
        "event type, aggregate and idempotency key have {bytes} bytes together; at most {IDENTITY_MAX_BYTES} fit a consumer's mark"
    )]
    IdentityTooLong {
        /// Its size in bytes.
        bytes: usize,
    },
    /// The request's path and idempotency key together are too long.
    #[error(
        "path and idempotency key have {bytes} bytes together; at most {KEY_MAX_BYTES} fit a mark"
    )]
    KeyTooLong {
        /// Their size in bytes.
        bytes: usize,
    },
}

/// The identity of something that must not happen twice.
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
        /// SHA-256 of the body, hexadecimal: the same key with a different body is a different request.
        body_sha256: String,
    },
    /// A consumer's handling of an event. The consumer's name is part of the identity and never changes.
    Event {
        /// The consumer's name.
        consumer: &'static str,
        /// The event's identity for deduplication; see [`Mark::event`].
        event: String,
    },
    /// A consumer's handling of a queue's message, whatever the message holds. For a consumer whose messages need not be
    /// events: the queue delivers a message again, and then the mark tells that it is done.
    Message {
        /// The consumer's name. It never changes.
        consumer: &'static str,
        /// The id that the queue gave the message. Every delivery of a message has the same id; a copy that was sent
        /// again has another.
        message_id: String,
    },
    /// The beginning or the end of an episode of a recurring condition, e.g. an alert.
    Episode {
        /// The condition's name.
        name: &'static str,
        /// The number of the episode.
        number: u64,
        /// `opened` or `closed`.
        phase: &'static str,
    },
    /// One page of a scheduled or fan-out job, with the fencing number of the run that wrote it.
    JobPage {
        /// The job's name.
        job: &'static str,
        /// The pass over the job's work. A pass that is abandoned and started again has a new identity.
        run: String,
        /// The number of the page, from 0.
        page: u64,
        /// The fencing number of the lease.
        fence: u64,
    },
    /// An in-order consumer's advance over an aggregate's events. Its row is the cursor itself.
    Cursor {
        /// The cursor as the decision read it.
        from: Progress,
        /// The sequence of the last event that is handled after the advance.
        to: u64,
    },
}

impl Mark {
    /// A consumer's mark of an event. If the event has an idempotency key, the identity is type, aggregate and key, so
    /// an event with an equal key and another id is a duplicate. Otherwise the identity is the event's id.
    #[must_use]
    pub fn event(consumer: &'static str, envelope: &Envelope) -> Self {
        let event = match &envelope.idempotency_key {
            Some(key) => event_identity(&envelope.event_type, &envelope.aggregate(), key),
            None => envelope.event_id.to_string(),
        };
        Self::Event { consumer, event }
    }

    /// The mark's key. In every kind of mark only the last part can contain `#`, so two marks never share a key.
    ///
    /// # Errors
    /// [`MarkError::KeyTooLong`] when the key exceeds DynamoDB's limit.
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
            Self::Message {
                consumer,
                message_id,
            } => format!("message#{consumer}#{message_id}"),
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

    /// The mark's kind, for readers and filters.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Request { .. } => "request",
            Self::Event { .. } => "event",
            Self::Message { .. } => "message",
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

/// The identity of an event that has an idempotency key: its type, its aggregate (`type#id`) and the key.
#[must_use]
pub fn event_identity(event_type: &EventType, aggregate: &str, key: &IdempotencyKey) -> String {
    format!("{event_type}#{aggregate}#{key}")
}

/// Checks that the mark of an event with this identity fits its key, whichever consumer writes it. A consumer could
/// neither handle nor skip a longer one.
///
/// # Errors
/// [`MarkError::IdentityTooLong`].
pub fn check_identity(identity: &str) -> Result<(), MarkError> {
    if identity.len() > IDENTITY_MAX_BYTES {
        return Err(MarkError::IdentityTooLong {
            bytes: identity.len(),
        });
    }
    Ok(())
}

/// A key of the marks table, if it is not too long.
pub(crate) fn bounded_key(marks: &Table, text: String) -> Result<Key, MarkError> {
    if text.len() > KEY_MAX_BYTES {
        return Err(MarkError::KeyTooLong { bytes: text.len() });
    }
    Ok(marks.single_key(text))
}

/// The answer that a caller got, kept for repeats of the request. It never contains a secret.
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
    /// The client request token of the transaction that wrote it. It distinguishes our own commit, if its answer was
    /// lost, from another writer's commit.
    pub token: String,
    /// When it was written.
    pub created_at: Timestamp,
    /// When it expires, in seconds since 1970 (DynamoDB TTL); absent for a cursor, which never expires.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<i64>,
    /// SHA-256 of the request's body.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body_sha256: Option<String>,
    /// The fencing number under which a job's page was written.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fence: Option<u64>,
    /// The answer to the first request.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Answer>,
}
