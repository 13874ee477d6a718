//! What waits in the lanes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_sdk_sqs::{Client, types::QueueAttributeName};
use events::Timestamp;
use futures::future::try_join_all;
use outbox::{Fault, FaultKind};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::ages::Ages;

/// A lane by its queue's name: `[consumer, lane, queue]`. The queue itself says where its letters go. Names, as a function's
/// settings may have 4 KB in all and addresses are twice as long
/// (<https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html>, read 2026-11-26).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane(pub String, pub String, pub String);

/// How full a queue is; approximate.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Depth {
    /// Waiting, delayed ones among them.
    pub waiting: u64,
    /// Handed out and not yet acknowledged.
    pub in_flight: u64,
    /// The name of the queue that its letters go to.
    pub letters: Option<String>,
}

/// The port to queues.
#[async_trait]
pub trait Queues: Send + Sync {
    /// How full the queue of this name is.
    ///
    /// # Errors
    /// [`Fault`] when it does not answer.
    async fn depth(&self, name: &str) -> Result<Depth, Fault>;
}

/// The port on SQS, which does not tell ages: [`Ages`] do.
#[derive(Debug)]
pub struct SqsQueues {
    client: Client,
    urls: Mutex<HashMap<String, String>>,
}

impl SqsQueues {
    /// Over a client.
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
            .attribute_names(QueueAttributeName::RedrivePolicy)
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
            letters: answer
                .attributes
                .as_ref()
                .and_then(|attributes| attributes.get(&QueueAttributeName::RedrivePolicy))
                .and_then(|policy| letters_of(policy)),
        })
    }
}

/// The name of the queue that a redrive policy names by its ARN.
fn letters_of(policy: &str) -> Option<String> {
    let policy: serde_json::Value = serde_json::from_str(policy).ok()?;
    let arn = policy.get("deadLetterTargetArn")?.as_str()?;
    Some(arn.rsplit(':').next()?.to_owned())
}

/// A lane as it is shown.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LaneStatus {
    /// Whose lane.
    pub consumer: String,
    /// `express` or `standard`.
    pub lane: String,
    /// Events that wait.
    pub depth: u64,
    /// Events in hand, or waiting for their next try.
    pub in_flight: u64,
    /// Letters in its dead-letter queue.
    pub letters: u64,
    /// How long the oldest event has waited, as CloudWatch measured it last; null where it has no such metric.
    pub oldest_seconds: Option<u64>,
}

/// All lanes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Status {
    /// By consumer and lane.
    pub consumers: Vec<LaneStatus>,
}

/// Asks all lanes at once. Nobody is kept waiting for ages, nor refused the rest where they cannot be told.
///
/// # Errors
/// When one does not answer.
pub async fn status(
    queues: &dyn Queues,
    ages: &dyn Ages,
    lanes: &[Lane],
    now: Timestamp,
) -> Result<Status, Fault> {
    let names: Vec<&str> = lanes
        .iter()
        .map(|Lane(_, _, queue)| queue.as_str())
        .collect();
    let oldest = ages.oldest(&names, now).await.unwrap_or_else(|error| {
        tracing::warn!(
            error = outbox::chain(&error),
            "the age of the oldest messages is not known"
        );
        HashMap::new()
    });
    let oldest = &oldest;
    let asked = lanes.iter().map(|Lane(consumer, lane, queue)| async move {
        let of_lane = queues.depth(queue).await?;
        let of_letters = match &of_lane.letters {
            Some(letters) => queues.depth(letters).await?,
            None => Depth::default(),
        };
        Ok::<_, Fault>(LaneStatus {
            consumer: consumer.clone(),
            lane: lane.clone(),
            depth: of_lane.waiting,
            in_flight: of_lane.in_flight,
            letters: of_letters.waiting.saturating_add(of_letters.in_flight),
            oldest_seconds: oldest.get(queue).copied(),
        })
    });
    Ok(Status {
        consumers: try_join_all(asked).await?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_queue_says_where_its_letters_go() {
        let policy = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:letters","maxReceiveCount":100}"#;
        assert_eq!(letters_of(policy).as_deref(), Some("letters"));
        assert_eq!(letters_of("{}"), None);
    }
}
