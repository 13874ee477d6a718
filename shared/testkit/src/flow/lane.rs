//! Lanes and the dead-letter queue in memory. Visibility timeouts pass in virtual time.

use std::time::Duration;

use consumer::{Lane, Letter, Message};
use events::Timestamp;
use serde_json::Value;

/// The receives after which SQS itself moves a message to the dead-letter queue, as the template sets it.
const MAX_RECEIVES: u32 = 100;

/// The visibility timeout: 6 × the function's timeout.
const VISIBILITY: Duration = Duration::from_secs(180);

/// A message in the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DeadLetter {
    /// Parked by the consumer runtime, with its reason.
    Parked(Box<Letter>),
    /// Received too often without an outcome and moved by the queue itself. The reason is unknown.
    Exhausted {
        /// The message's body.
        body: String,
    },
}

impl DeadLetter {
    /// The message's body.
    #[must_use]
    pub fn body(&self) -> &str {
        match self {
            Self::Parked(letter) => &letter.body,
            Self::Exhausted { body } => body,
        }
    }
}

struct Held {
    message: Message,
    visible_at: Timestamp,
}

/// A lane and its messages.
pub(crate) struct Channel {
    pub(crate) lane: Lane,
    pub(crate) consumer: usize,
    takes: topology::Lane,
    held: Vec<Held>,
}

/// All lanes of a flow, and its dead-letter queue.
#[derive(Default)]
pub(crate) struct Lanes {
    channels: Vec<Channel>,
    /// Each with the consumer that it concerns.
    letters: Vec<(usize, DeadLetter)>,
    messages: u64,
    receipts: u64,
}

impl Lanes {
    pub(crate) fn open(&mut self, consumer: usize, takes: topology::Lane, lane: Lane) -> usize {
        self.channels.push(Channel {
            lane,
            consumer,
            takes,
            held: Vec::new(),
        });
        self.channels.len() - 1
    }

    pub(crate) fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// The dead letters, each with the consumer that it concerns, in the order in which they came.
    pub(crate) fn letters(&self) -> impl Iterator<Item = (usize, &DeadLetter)> {
        self.letters
            .iter()
            .map(|(consumer, letter)| (*consumer, letter))
    }

    pub(crate) fn send(&mut self, channel: usize, body: String, now: Timestamp) {
        self.messages += 1;
        let message = Message {
            message_id: format!("message-{}", self.messages),
            receipt_handle: String::new(),
            body,
            receive_count: 0,
            sent_at: now,
            first_received_at: now,
            operation_id: None,
            first_replay: None,
        };
        if let Some(channel) = self.channels.get_mut(channel) {
            channel.held.push(Held {
                message,
                visible_at: now,
            });
        }
    }

    pub(crate) fn visible(&self, channel: usize, now: Timestamp) -> usize {
        self.channels.get(channel).map_or(0, |channel| {
            channel
                .held
                .iter()
                .filter(|held| held.visible_at <= now)
                .count()
        })
    }

    /// When the next hidden message becomes visible.
    pub(crate) fn next_visible(&self) -> Option<Timestamp> {
        self.channels
            .iter()
            .flat_map(|channel| &channel.held)
            .map(|held| held.visible_at)
            .min()
    }

    /// Receives and hides the visible messages at these places (counted among the visible ones).
    pub(crate) fn receive(
        &mut self,
        channel: usize,
        places: &[usize],
        now: Timestamp,
    ) -> Vec<Message> {
        let Some(channel) = self.channels.get_mut(channel) else {
            return Vec::new();
        };
        let visible: Vec<usize> = (0..channel.held.len())
            .filter(|at| channel.held[*at].visible_at <= now)
            .collect();
        let mut received = Vec::new();
        let mut exhausted = Vec::new();
        for at in places
            .iter()
            .filter_map(|place| visible.get(*place))
            .copied()
        {
            let held = &mut channel.held[at];
            if held.message.receive_count >= MAX_RECEIVES {
                exhausted.push(held.message.message_id.clone());
                let body = held.message.body.clone();
                let letter = DeadLetter::Exhausted { body };
                self.letters.push((channel.consumer, letter));
                continue;
            }
            self.receipts += 1;
            if held.message.receive_count == 0 {
                held.message.first_received_at = now;
            }
            held.message.receive_count += 1;
            held.message.receipt_handle = format!("receipt-{}", self.receipts);
            held.visible_at = now.plus(VISIBILITY);
            received.push(held.message.clone());
        }
        channel
            .held
            .retain(|held| !exhausted.contains(&held.message.message_id));
        received
    }

    pub(crate) fn delete(&mut self, channel: usize, message_id: &str) {
        if let Some(channel) = self.channels.get_mut(channel) {
            channel
                .held
                .retain(|held| held.message.message_id != message_id);
        }
    }

    pub(crate) fn hide(&mut self, queue_url: &str, receipt_handle: &str, until: Timestamp) {
        let held = self
            .channels
            .iter_mut()
            .filter(|channel| channel.lane.queue_url == queue_url)
            .flat_map(|channel| &mut channel.held)
            .find(|held| held.message.receipt_handle == receipt_handle);
        // A later receipt holds the message by now. Then this receipt cannot hide it.
        if let Some(held) = held {
            held.visible_at = until;
        }
    }

    pub(crate) fn park(&mut self, dead_letter_queue_url: &str, letter: Letter) {
        let of_consumer = |channel: &&Channel| {
            channel.takes.consumer == letter.consumer
                && channel.lane.dead_letter_queue_url == dead_letter_queue_url
        };
        if let Some(channel) = self.channels.iter().find(of_consumer) {
            let parked = DeadLetter::Parked(Box::new(letter));
            self.letters.push((channel.consumer, parked));
        }
    }

    /// Sends a consumer's dead letters back to its lanes, each to the one of its event's priority. Returns how many there
    /// were.
    pub(crate) fn redrive(&mut self, consumer: usize, now: Timestamp) -> usize {
        let letters = std::mem::take(&mut self.letters);
        let (back, kept) = letters.into_iter().partition(|(of, _)| *of == consumer);
        self.letters = kept;
        let count = Vec::len(&back);
        for (_, letter) in back {
            let body = letter.body().to_owned();
            if let Some(place) = self.lane_of(consumer, &body) {
                self.send(place, body, now);
            }
        }
        count
    }

    fn lane_of(&self, consumer: usize, body: &str) -> Option<usize> {
        let head: Value = serde_json::from_str(body).unwrap_or_default();
        let priority = serde_json::from_value(head["priority"].clone()).ok();
        self.channels
            .iter()
            .position(|channel| channel.consumer == consumer && channel.takes.takes(priority))
    }
}
