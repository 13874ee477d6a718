//! Messages as they are received, and the outcome of each.

use std::time::Duration;

use events::{Priority, Timestamp, contracts::operation::FirstReplay};
use outbox::REPEATS_KNOWN;

use crate::ParkReason;

/// A message, as it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The message's identity, by which it is reported as failed.
    pub message_id: String,
    /// The receipt handle of this delivery.
    pub receipt_handle: String,
    /// The body: an envelope, unless the sender sent something else.
    pub body: String,
    /// How many times the message was received, including this time.
    pub receive_count: u32,
    /// When it was sent to the lane.
    pub sent_at: Timestamp,
    /// When it was first received.
    pub first_received_at: Timestamp,
    /// The operator's operation that sent it, in the message attribute [`OPERATION_ID`]; `None` for what the bus
    /// delivered. How long such an event was on its way says nothing about the path.
    pub operation_id: Option<String>,
    /// Present if the message is part of the first replay of what was before the consumer began, in the message attribute
    /// [`BEFORE_IT_BEGAN`].
    pub first_replay: Option<FirstReplay>,
}

/// The message attribute with the id of the operation that sent the message.
pub const OPERATION_ID: &str = "operation_id";

/// The message attribute that says that the message is part of the first replay of what was before the consumer began.
/// Its value is a [`FirstReplay`] as text. A dead letter of such a message has it, too.
pub const BEFORE_IT_BEGAN: &str = "before_it_began";

/// Whether a missing mark proves that an event was not handled, however old the event is: it occurred before the consumer
/// began, so only a replay can have brought it, and every mark of such a replay still exists.
pub(crate) fn is_first(replay: FirstReplay, occurred_at: Timestamp, now: Timestamp) -> bool {
    occurred_at < replay.began && now.since(replay.since) <= REPEATS_KNOWN
}

/// The outcome of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Handled by this run.
    Done,
    /// Handled before; acknowledged.
    Duplicate,
    /// Not newer than what the projection has; acknowledged.
    Ignored,
    /// Failed; the message comes back after the delay.
    Retry(Duration),
    /// A dependency is unavailable; the message comes back after the delay.
    Unavailable(Duration),
    /// Sent to the dead-letter queue; acknowledged.
    Parked(ParkReason),
    /// The message's aggregate waits for a parked event. Acknowledged, because the redrive of that event goes on from
    /// there.
    Waiting,
    /// Should have been parked, but the dead letter could not be sent or the aggregate could not be blocked. The
    /// message comes back when its visibility timeout ends.
    NotParked,
    /// Events of the message's aggregate were handled, but the time was too short for all; the message comes back soon.
    Continues,
    /// Not begun, because too little time was left; the message comes back soon.
    Unbegun,
}

impl Outcome {
    /// The outcome's name in logs.
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

    /// Whether the message can be deleted from its lane.
    #[must_use]
    pub const fn acknowledged(self) -> bool {
        matches!(
            self,
            Self::Done | Self::Duplicate | Self::Ignored | Self::Waiting | Self::Parked(_)
        )
    }
}

/// The result for one message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finished {
    /// The message's identity.
    pub message_id: String,
    /// The message's outcome.
    pub outcome: Outcome,
    /// The event's domain, its priority and the time from commit to handler start. Present if the body is an envelope
    /// and this is the first attempt.
    pub delivery: Option<Delivery>,
    /// How long the handling took; absent if it was not begun.
    pub took: Option<Duration>,
}

/// The time that an event took to arrive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// The part of the event type before the dot.
    pub domain: String,
    /// The envelope's priority.
    pub priority: Priority,
    /// From `occurred_at` to the handler's start.
    pub latency: Duration,
}

/// The result of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Summary {
    /// One entry per message, in no particular order.
    pub finished: Vec<Finished>,
}

impl Summary {
    /// The ids to report as failed: exactly the messages that must come back.
    #[must_use]
    pub fn failed(&self) -> Vec<String> {
        let failed = self
            .finished
            .iter()
            .filter(|one| !one.outcome.acknowledged());
        failed.map(|one| one.message_id.clone()).collect()
    }
}
