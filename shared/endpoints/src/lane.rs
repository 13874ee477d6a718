//! How far an endpoint has got: its position in the feed, what it did not take, and the log of attempts.

use std::time::Duration;

use events::{EventId, Sequence, Timestamp, WebhookId};
use outbox::{Condition, Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::feed::{FeedRow, sort_key};

/// How long an attempt stays in the log.
pub const LOG_LIFE: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// How many events an endpoint can have that are to be tried again. It is sent nothing new while it has as many.
pub const MOST_RETRIES: usize = 1_000;

/// After how many failures in a row an endpoint is sent nothing new. What it missed meanwhile is still in the feed.
pub const HALTED_AFTER: u32 = 10;

/// How often an endpoint that is sent nothing new is tried with the oldest event that it did not take.
pub const PROBED_EVERY: Duration = Duration::from_secs(5 * 60);

/// How far an endpoint has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The endpoint.
    pub webhook_id: WebhookId,
    /// The position in the feed up to which it was sent what it selects, or has a [`Retry`] for it.
    pub position: u64,
    /// How often the row was written, with this time.
    version: u64,
    /// How many attempts have failed in a row.
    pub failures: u32,
    /// When the first of them was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failing_since: Option<Timestamp>,
    /// What the last failed attempt got.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<String>,
    /// When it was tried last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
    /// When it took an event last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivered_at: Option<Timestamp>,
    /// When it took an event again after it had been halted. What failed before is tried again at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recovered_at: Option<Timestamp>,
    /// How many warnings there were since its last success.
    pub warnings: usize,
}

impl Lane {
    /// The lane of an endpoint that is sent what comes after a position. `before` is the lane that it had.
    #[must_use]
    pub fn from(webhook_id: WebhookId, position: u64, before: Option<&Self>) -> Self {
        Self {
            webhook_id,
            position,
            version: before.map_or(0, |lane| lane.version) + 1,
            failures: 0,
            failing_since: None,
            last_error: None,
            tried_at: None,
            delivered_at: before.and_then(|lane| lane.delivered_at),
            recovered_at: None,
            warnings: 0,
        }
    }

    /// The lane, to be changed and written.
    #[must_use]
    pub fn next(&self) -> Self {
        Self {
            version: self.version + 1,
            ..self.clone()
        }
    }

    /// How often the row was written.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.version
    }

    /// The key of an endpoint's lane.
    #[must_use]
    pub fn key(table: &Table, webhook_id: WebhookId) -> Key {
        table.key(format!("lane#{webhook_id}"), "lane")
    }

    /// The condition that the row is as it was read.
    #[must_use]
    pub fn unchanged(before: Option<&Self>) -> Condition {
        before.map_or(Condition::Absent, |lane| {
            Condition::Equals(vec![("version", lane.version.into())])
        })
    }

    /// Whether it is sent nothing new: it has failed too often, or too much is to be tried again.
    #[must_use]
    pub fn is_halted(&self, retries: usize) -> bool {
        self.failures >= HALTED_AFTER || retries >= MOST_RETRIES
    }

    /// Notes an attempt that succeeded.
    pub fn succeeded(&mut self, now: Timestamp) {
        self.tried_at = Some(now);
        self.delivered_at = Some(now);
        if self.failures >= HALTED_AFTER {
            self.recovered_at = Some(now);
        }
        self.failures = 0;
        self.failing_since = None;
        self.last_error = None;
        self.warnings = 0;
    }

    /// Notes an attempt that failed.
    pub fn failed(&mut self, error: &str, now: Timestamp) {
        self.tried_at = Some(now);
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.last_error = Some(error.to_owned());
    }
}

/// An event that an endpoint did not take, or that it is to be sent once more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retry {
    /// The event's position in the feed.
    pub position: u64,
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Its aggregate, `type/id`.
    pub aggregate: String,
    /// How many attempts were made.
    pub attempts: u32,
    /// When the next one is due.
    pub due_at: Timestamp,
    /// When the last one was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tried_at: Option<Timestamp>,
    /// A caller asked for it. It is sent although the event may have been delivered.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub redelivery: bool,
    /// It is not to be known before it is due, so it is no probe of whether the endpoint is back.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub postponed: bool,
}

impl Retry {
    /// The retry of an event, due at a time.
    #[must_use]
    pub fn of(row: &FeedRow, event_id: EventId, due_at: Timestamp) -> Self {
        Self {
            position: row.position,
            event_id,
            event_type: row.event_type.clone(),
            aggregate: row.aggregate.clone(),
            attempts: 0,
            due_at,
            tried_at: None,
            redelivery: false,
            postponed: false,
        }
    }

    /// When its next attempt is due, considering whether the endpoint has come back since the last one.
    #[must_use]
    pub fn due(&self, lane: &Lane) -> Timestamp {
        match (lane.recovered_at, self.tried_at) {
            (Some(recovered), Some(tried)) if tried < recovered => self.due_at.min(recovered),
            _ => self.due_at,
        }
    }

    /// The condition that its row is as it was read.
    #[must_use]
    pub fn unchanged(&self) -> Condition {
        Condition::Equals(vec![("attempts", self.attempts.into())])
    }

    /// Its key.
    #[must_use]
    pub fn key(table: &Table, webhook_id: WebhookId, position: u64) -> Key {
        table.key(partition(webhook_id), sort_key(position))
    }

    /// The retries of an endpoint, the oldest event first.
    #[must_use]
    pub fn of_endpoint(table: &Table, webhook_id: WebhookId) -> Query {
        let most = u32::try_from(MOST_RETRIES).unwrap_or(u32::MAX);
        Query::partition(table, partition(webhook_id), most)
    }
}

fn partition(webhook_id: WebhookId) -> String {
    format!("retry#{webhook_id}")
}

/// What became of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AttemptOutcome {
    /// The endpoint took it.
    Delivered,
    /// It did not, and will be tried again.
    Failed,
    /// It did not, and was the last attempt.
    GivenUp,
}

/// An attempt to deliver an event, in the log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// The event.
    pub event_id: EventId,
    /// Its type.
    pub event_type: String,
    /// Its position in the feed.
    pub position: u64,
    /// The number of this attempt, from 1.
    pub attempt: Sequence,
    /// When it was made.
    pub at: Timestamp,
    /// How long it took, in milliseconds.
    pub took_ms: u64,
    /// What became of it.
    pub outcome: AttemptOutcome,
    /// The status that the endpoint answered; absent if it did not answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// The beginning of its answer, or why there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// When the next attempt is due.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_at: Option<Timestamp>,
    /// DynamoDB TTL, seconds since 1970.
    pub expires_at: i64,
}

impl Attempt {
    /// Its key. The log is read newest first.
    #[must_use]
    pub fn key(&self, table: &Table, webhook_id: WebhookId) -> Key {
        let place = format!("{}#{}", self.at, sort_key(self.position));
        table.key(log(webhook_id), place)
    }

    /// The attempts of an endpoint, newest first.
    #[must_use]
    pub fn of_endpoint(table: &Table, webhook_id: WebhookId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, log(webhook_id), limit)
        }
    }
}

fn log(webhook_id: WebhookId) -> String {
    format!("log#{webhook_id}")
}
