//! Lanes and dead-letter queues in memory. Visibility timeouts pass in virtual time.

use std::time::Duration;

use consumer::{Lane, Letter, Message};
use events::Timestamp;

/// The receives after which SQS itself moves a message to the dead-letter queue, as the template sets it.
const MAX_RECEIVES: u32 = 100;

/// The visibility timeout: 6 × the function's timeout.
const VISIBILITY: Duration = Duration::from_secs(180);

/// A message in a dead-letter queue.
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

/// A lane with its dead-letter queue.
pub(crate) struct Channel {
    pub(crate) lane: Lane,
    pub(crate) consumer: usize,
    held: Vec<Held>,
    pub(crate) letters: Vec<DeadLetter>,
}

/// All lanes of a flow.
#[derive(Default)]
pub(crate) struct Lanes {
    channels: Vec<Channel>,
    messages: u64,
    receipts: u64,
}

impl Lanes {
    pub(crate) fn open(&mut self, consumer: usize, lane: Lane) -> usize {
        self.channels.push(Channel {
            lane,
            consumer,
            held: Vec::new(),
            letters: Vec::new(),
        });
        self.channels.len() - 1
    }

    pub(crate) fn channels(&self) -> &[Channel] {
        &self.channels
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
                channel.letters.push(DeadLetter::Exhausted {
                    body: held.message.body.clone(),
                });
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
        if let Some(channel) = self
            .channels
            .iter_mut()
            .find(|channel| channel.lane.dead_letter_queue_url == dead_letter_queue_url)
        {
            channel.letters.push(DeadLetter::Parked(Box::new(letter)));
        }
    }

    /// Sends a consumer's dead letters back to the lanes they came from. Returns how many there were.
    pub(crate) fn redrive(&mut self, consumer: usize, now: Timestamp) -> usize {
        let mut back = Vec::new();
        for (place, channel) in self.channels.iter_mut().enumerate() {
            if channel.consumer == consumer {
                back.extend(
                    channel
                        .letters
                        .drain(..)
                        .map(|letter| (place, letter.body().to_owned())),
                );
            }
        }
        let count = back.len();
        for (place, body) in back {
            self.send(place, body, now);
        }
        count
    }
}
