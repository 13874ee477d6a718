//! The depth of the lanes, how many dead letters each consumer has, and which consumers are paused.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use events::{ConsumerName, Text, Timestamp};
use futures::{future::try_join_all, try_join};
use letters::pause::Wish;
use outbox::{Fault, FaultKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use topology::{LANE_RETENTION, STANDARD};

use crate::{ages::Ages, letters::Letters, paused::Paused};

/// A lane and its queue's name: `[consumer, lane, queue]`. The settings hold names, because a function's environment is
/// limited to 4 KB and URLs are twice as long
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>, read 2026-11-26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane(pub String, pub String, pub String);

/// The approximate depth of a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting messages, delayed ones included.
    pub waiting: u64,
    /// Messages that were received and not yet deleted.
    pub in_flight: u64,
}

/// The port to queues.
#[async_trait]
pub trait Queues: Send + Sync {
    /// Reads the depth of the queue with this name.
    ///
    /// # Errors
    /// [`Fault`] when it does not answer.
    async fn depth(&self, name: &str) -> Result<Depth, Fault>;
}

/// Reads depths from SQS. SQS does not report ages: [`Ages`] does.
#[derive(Debug)]
pub struct SqsQueues {
    client: Client,
    urls: Mutex<HashMap<String, String>>,
}

impl SqsQueues {
    /// Creates the reader over a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            urls: Mutex::default(),
        }
    }

    async fn url(&self, name: &str) -> Result<String, Fault> {
        let known = |urls: &Mutex<HashMap<String, String>>| {
            let urls = urls.lock().unwrap_or_else(PoisonError::into_inner);
            urls.get(name).cloned()
        };
        if let Some(url) = known(&self.urls) {
            return Ok(url);
        }
        let asked = self.client.get_queue_url().queue_name(name).send().await;
        let url = asked
            .map_err(|error| Fault::new(FaultKind::Unavailable, "sqs GetQueueUrl", error))?
            .queue_url
            .unwrap_or_default();
        let mut urls = self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        urls.insert(name.to_owned(), url.clone());
        Ok(url)
    }
}

#[async_trait]
impl Queues for SqsQueues {
    async fn depth(&self, name: &str) -> Result<Depth, Fault> {
        const WAITING: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessages;
        const DELAYED: QueueAttributeName = QueueAttributeName::ApproximateNumberOfMessagesDelayed;
        const IN_FLIGHT: QueueAttributeName =
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible;
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(self.url(name).await?)
            .attribute_names(WAITING)
            .attribute_names(DELAYED)
            .attribute_names(IN_FLIGHT)
            .send()
            .await
            .map_err(|error| Fault::new(FaultKind::Unavailable, "sqs GetQueueAttributes", error))?;
        let number = |attribute: QueueAttributeName| {
            let attributes = answer.attributes.as_ref();
            attributes
                .and_then(|attributes| attributes.get(&attribute))
                .and_then(|text| text.parse::<u64>().ok())
                .unwrap_or_default()
        };
        Ok(Depth {
            waiting: number(WAITING).saturating_add(number(DELAYED)),
            in_flight: number(IN_FLIGHT),
        })
    }
}

/// The status of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneStatus {
    /// The consumer.
    pub consumer: String,
    /// `express` or `standard`.
    pub lane: String,
    /// The number of waiting events.
    pub depth: u64,
    /// Events that are being handled or wait for their next attempt.
    pub in_flight: u64,
    /// The number of the consumer's unresolved dead letters. A dead letter belongs to a consumer and no longer to a lane,
    /// so the consumer's standard lane, or its only lane, has the number; an express lane beside it has 0.
    pub letters: u64,
    /// How long the oldest event has waited, by CloudWatch's last measurement; null if there is none.
    pub oldest_seconds: Option<u64>,
}

/// The status of all lanes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// The lanes, by consumer and lane.
    pub consumers: Vec<LaneStatus>,
    /// The consumers with unresolved dead letters, by name.
    pub letters: Vec<OpenLetters>,
    /// The paused consumers, the one paused last at the end.
    pub paused: Vec<PausedConsumer>,
}

/// A paused consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PausedConsumer {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Since when it is paused.
    pub since: Timestamp,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was paused; null if the caller named none.
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was paused.
    pub key_owner: Text<256>,
    /// How long the oldest event in any of its lanes has waited, in seconds, by CloudWatch's last measurement; null if there
    /// is none.
    pub oldest_seconds: Option<u64>,
    /// How many seconds are left until SQS deletes that event, 0 if it may have done so; null if its age is unknown. The
    /// consumer never handles a deleted event by itself.
    pub deleted_in_seconds: Option<u64>,
}

impl PausedConsumer {
    fn of(wish: Wish, lanes: &[Lane], oldest: &HashMap<String, u64>) -> Self {
        let own = lanes
            .iter()
            .filter(|Lane(consumer, _, _)| consumer == wish.consumer.as_str());
        let age = own.filter_map(|Lane(_, _, queue)| oldest.get(queue).copied());
        let age = age.max();
        Self {
            consumer: wish.consumer,
            since: wish.since,
            reason: wish.reason,
            actor: wish.actor,
            key_owner: wish.key_owner,
            oldest_seconds: age,
            deleted_in_seconds: age.map(|age| LANE_RETENTION.as_secs().saturating_sub(age)),
        }
    }
}

/// The unresolved dead letters of a consumer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenLetters {
    /// The consumer.
    pub consumer: String,
    /// How many of its dead letters are neither handled nor discarded. All consumers together are counted up to 10,000
    /// dead letters, the oldest first.
    pub open: u64,
}

/// Where a status is read.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The depth of the queues.
    pub queues: &'a dyn Queues,
    /// The ages of waiting messages.
    pub ages: &'a dyn Ages,
    /// The number of dead letters.
    pub letters: &'a dyn Letters,
    /// The paused consumers.
    pub paused: &'a dyn Paused,
}

impl std::fmt::Debug for Sources<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sources").finish_non_exhaustive()
    }
}

/// Reads all lanes at the same time. If the ages cannot be read, the rest is returned without them.
///
/// # Errors
/// When a lane, the dead letters or the paused consumers cannot be read.
pub async fn status(sources: Sources<'_>, lanes: &[Lane], now: Timestamp) -> Result<Status, Fault> {
    let Sources {
        queues,
        ages,
        letters,
        paused,
    } = sources;
    let names: Vec<&str> = lanes
        .iter()
        .map(|Lane(_, _, queue)| queue.as_str())
        .collect();
    let oldest = ages.oldest(&names, now).await.unwrap_or_else(|error| {
        tracing::warn!(
            error = outbox::chain(&error),
            "the ages of the oldest messages cannot be read"
        );
        HashMap::new()
    });
    let (open, paused) = try_join!(letters.open(now), paused.paused())?;
    let (oldest, counted) = (&oldest, &open);
    let asked = lanes.iter().map(|Lane(consumer, lane, queue)| async move {
        let of_lane = queues.depth(queue).await?;
        let shows_letters = lane == STANDARD || !has(lanes, consumer, STANDARD);
        let of_consumer = counted.get(consumer).copied().unwrap_or_default();
        Ok::<_, Fault>(LaneStatus {
            consumer: consumer.clone(),
            lane: lane.clone(),
            depth: of_lane.waiting,
            in_flight: of_lane.in_flight,
            letters: if shows_letters { of_consumer } else { 0 },
            oldest_seconds: oldest.get(queue).copied(),
        })
    });
    let consumers = try_join_all(asked).await?;
    let paused = paused.into_iter();
    Ok(Status {
        consumers,
        paused: paused
            .map(|wish| PausedConsumer::of(wish, lanes, oldest))
            .collect(),
        letters: open
            .into_iter()
            .map(|(consumer, open)| OpenLetters { consumer, open })
            .collect(),
    })
}

/// Whether a consumer has a lane of this name.
fn has(lanes: &[Lane], consumer: &str, name: &str) -> bool {
    lanes
        .iter()
        .any(|Lane(of, lane, _)| of == consumer && lane == name)
}
