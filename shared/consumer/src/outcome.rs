//! Messages as they come, and what becomes of them.

use std::time::Duration;

use events::{Priority, Timestamp};

use crate::ParkReason;

/// A message as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's identity, by which it is reported as failed.
    pub message_id: String,
    /// The handle of this receipt.
    pub receipt_handle: String,
    /// The envelope, or what was sent instead.
    pub body: String,
    /// How many times it was received, this one included.
    pub receive_count: u32,
    /// When it was sent to the lane.
    pub sent_at: Timestamp,
    /// When it was first received.
    pub first_received_at: Timestamp,
}

/// What became of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Handled just now.
    Done,
    /// Handled before: acknowledged.
    Duplicate,
    /// Older than what the projection has: acknowledged.
    Ignored,
    /// Failed; comes back after the delay.
    Retry(Duration),
    /// A dependency is unavailable; comes back after the delay.
    Unavailable(Duration),
    /// In the dead-letter queue, acknowledged.
    Parked(ParkReason),
    /// Its aggregate waits for an event that was parked: acknowledged, for that one's redrive goes on from there.
    Waiting,
    /// To be parked, but the letter could not be sent or the aggregate not blocked: comes back when its visibility ends.
    NotParked,
    /// Events of its aggregate were handled, but the time was too little for all of them: comes back soon.
    Continues,
    /// Not begun, because too little time was left; comes back soon.
    Unbegun,
}

impl Outcome {
    /// The word logs use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Duplicate => "duplicate",
            Self::Ignored => "ignored",
            Self::Retry(_) => "retry",
            Self::Unavailable(_) => "unavailable",
            Self::Parked(_) => "parked",
            Self::Waiting => "waiting",
            Self::NotParked => "not_parked",
            Self::Continues => "continues",
            Self::Unbegun => "unbegun",
        }
    }

    /// Whether the message may be deleted from its lane.
    #[must_use]
    pub const fn acknowledged(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Duplicate | Self::Ignored | Self::Waiting | Self::Parked(_)
        )
    }
}

/// What is known of one message afterwards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// Which.
    pub message_id: String,
    /// What became of it.
    pub outcome: Outcome,
    /// Its event's domain and priority and the time from commit to handler start, where it was an envelope and this is
    /// its first try.
    pub delivery: Option<Delivery>,
    /// How long it took; absent where it was not begun.
    pub took: Option<Duration>,
}

/// How long an event was on its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The part of the type before the dot.
    pub domain: String,
    /// The envelope's priority.
    pub priority: Priority,
    /// From `occurred_at` to the handler's start.
    pub latency: Duration,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// One entry per message, in no order.
    pub finished: Vec<Finished>,
}

impl Summary {
    /// The ids to report as failed: exactly those that must come back.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        let failed = self
            .finished
            .iter()
            .filter(|one| !one.outcome.acknowledged());
        failed.map(|one| one.message_id.clone()).collect()
    }
}
