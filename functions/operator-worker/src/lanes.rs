//! The port to the consumers' lanes.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
};

use async_trait::async_trait;
use aws_sdk_sqs::Client;
use consumer::{BEFORE_IT_BEGAN, OPERATION_ID};
use events::{OperationId, Priority, contracts::operation::FirstReplay};
use outbox::Fault;
use topology::{Deployment, physical_name};

/// What a message says about where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SentBy {
    /// The operation that sends it.
    pub operation_id: OperationId,
    /// Present if it is part of the first replay of what was before its consumer began.
    pub first_replay: Option<FirstReplay>,
}

/// Sends messages into lanes.
#[async_trait]
pub trait Lanes: Send + Sync {
    /// Sends a message into the lane whose queue has this name within the stack: `notifications-express`, with attributes
    /// that say by what it is sent. MUST have stored it durably when it reports success.
    async fn send(&self, queue: &str, body: &str, by: SentBy) -> Result<(), Fault>;
}

/// The queue, within the stack, of the lane in which a consumer gets events of this priority. `None` if the consumer is
/// not deployed.
#[must_use]
pub fn queue_of(
    deployment: &Deployment,
    consumer: &str,
    priority: Option<Priority>,
) -> Option<String> {
    let function = topology::function(consumer)?;
    let lanes = deployment.lanes_of(function);
    let lane = lanes.into_iter().find(|lane| lane.takes(priority))?;
    Some(lane.queue())
}

/// Lanes on SQS. Permissions: `sqs:GetQueueUrl` and `sqs:SendMessage` on every lane.
#[derive(Debug)]
pub struct SqsLanes {
    client: Client,
    stack: String,
    urls: Mutex<HashMap<String, String>>,
}

impl SqsLanes {
    /// The lanes of a stack.
    #[must_use]
    pub fn new(client: Client, stack: String) -> Self {
        Self {
            client,
            stack,
            urls: Mutex::default(),
        }
    }

    async fn url(&self, queue: &str) -> Result<String, Fault> {
        let urls = || self.urls.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(url) = urls().get(queue).cloned() {
            return Ok(url);
        }
        let name = physical_name(&self.stack, queue);
        let url = aws::queue_url(&self.client, &name).await?;
        urls().insert(queue.to_owned(), url.clone());
        Ok(url)
    }
}

#[async_trait]
impl Lanes for SqsLanes {
    async fn send(&self, queue: &str, body: &str, by: SentBy) -> Result<(), Fault> {
        let url = self.url(queue).await?;
        let first = by.first_replay.map(|first| first.to_string());
        let attributes = [
            (OPERATION_ID, Some(by.operation_id.to_string())),
            (BEFORE_IT_BEGAN, first),
        ];
        let mut message = self.client.send_message().queue_url(url);
        for (name, value) in attributes {
            if let Some(value) = value {
                message = message.message_attributes(name, aws::text_attribute(value)?);
            }
        }
        let sent = message.message_body(body).send().await;
        sent.map(drop)
            .map_err(|error| aws::sqs_fault("sqs SendMessage", error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_goes_to_the_lane_of_its_priority() {
        let spine = Deployment::of_setting("").expect("the spine");
        for (priority, queue) in [
            (Some(Priority::Critical), "analytics-express"),
            (Some(Priority::Low), "analytics-standard"),
            (None, "analytics-standard"),
        ] {
            assert_eq!(
                queue_of(&spine, "analytics", priority).as_deref(),
                Some(queue)
            );
        }
        // A consumer with one lane gets everything there.
        let one = queue_of(&spine, "heartbeat-arrival", None);
        assert_eq!(one.as_deref(), Some("heartbeat-arrival-express"));
        assert_eq!(queue_of(&spine, "unknown", None), None);
        assert_eq!(queue_of(&spine, "system-api", None), None);
    }
}
