//! Queues as an audit reads them: how many messages a lane has, and the dead letters that are still in the dead-letter
//! queue. The audit consumes nothing.

use std::{collections::BTreeSet, time::Duration};

use async_trait::async_trait;
use aws::sqs_fault;
use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use events::Timestamp;
use letters::QueueMessage;
use outbox::Fault;

/// How long a dead letter is hidden from other readers while the rest of its queue is read.
const HIDDEN: Duration = Duration::from_secs(60);

/// How long a call waits for dead letters: long enough that SQS asks all its servers
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-short-and-long-polling.html>, read
/// 2026-11-21).
const WAIT_SECONDS: i32 = 1;

/// After this many calls without a new dead letter, the ones still counted are taken to be hidden by other readers.
const EMPTY_CALLS: u32 = 3;

/// The most messages that one call returns
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>, read 2026-11-21).
const MAX_MESSAGES: i32 = 10;

/// The dead letters that were read from a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peeked {
    /// The dead letters, each message once.
    pub letters: Vec<QueueMessage>,
    /// Whether the whole queue was read.
    pub complete: bool,
}

/// The port to the queues. It must not consume a message.
#[async_trait]
pub trait Queues: Send + Sync {
    /// The number of messages: waiting, in flight and delayed. It may be approximate.
    async fn depth(&self, url: &str) -> Result<u64, Fault>;

    /// When the queue was created. It may be up to a second early.
    async fn created_at(&self, url: &str) -> Result<Timestamp, Fault>;

    /// At most `limit` dead letters. The implementation MUST leave all of them in the queue.
    async fn peek(&self, url: &str, limit: usize) -> Result<Peeked, Fault>;
}

/// The port on SQS.
#[derive(Debug, Clone)]
pub struct SqsQueues {
    client: Client,
}

impl SqsQueues {
    /// The port over a client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }

    /// Makes a dead letter visible again. If the call fails, SQS makes it visible a minute later.
    async fn give_back(&self, url: &str, receipt_handle: &str) {
        let given = self
            .client
            .change_message_visibility()
            .queue_url(url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(0)
            .send()
            .await;
        if let Err(error) = given {
            crate::output::note(&format!(
                "a dead letter stays hidden for up to {} s: {}",
                HIDDEN.as_secs(),
                outbox::chain(&error.into_service_error())
            ));
        }
    }
}

#[async_trait]
impl Queues for SqsQueues {
    async fn depth(&self, url: &str) -> Result<u64, Fault> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let numbers = aws::queue_numbers(&self.client, url, names).await?;
        Ok(numbers.into_iter().fold(0, u64::saturating_add))
    }

    async fn created_at(&self, url: &str) -> Result<Timestamp, Fault> {
        aws::queue_created_at(&self.client, url).await
    }

    async fn peek(&self, url: &str, limit: usize) -> Result<Peeked, Fault> {
        let there = usize::try_from(self.depth(url).await?).unwrap_or(usize::MAX);
        let mut seen = BTreeSet::new();
        let mut handles = Vec::new();
        let mut letters = Vec::new();
        let mut empty = 0;
        let mut failed = None;
        // One call is made even if the count is 0: the count is approximate.
        while empty < EMPTY_CALLS && letters.len() < limit && (letters.len() < there || empty == 0)
        {
            let received = self
                .client
                .receive_message()
                .queue_url(url)
                .max_number_of_messages(MAX_MESSAGES)
                .wait_time_seconds(WAIT_SECONDS)
                .visibility_timeout(i32::try_from(HIDDEN.as_secs()).unwrap_or(i32::MAX))
                .message_attribute_names("All")
                .message_system_attribute_names(MessageSystemAttributeName::All)
                .send()
                .await;
            let messages = match received {
                Ok(answer) => answer.messages.unwrap_or_default(),
                Err(error) => {
                    failed = Some(sqs_fault("sqs ReceiveMessage", error));
                    break;
                }
            };
            let before = letters.len();
            for message in messages {
                handles.extend(message.receipt_handle);
                let id = message.message_id.unwrap_or_default();
                if seen.insert(id.clone()) {
                    let attributes = message.message_attributes.unwrap_or_default();
                    let mut system = message.attributes.unwrap_or_default();
                    let source = MessageSystemAttributeName::DeadLetterQueueSourceArn;
                    letters.push(QueueMessage {
                        message_id: id,
                        body: message.body.unwrap_or_default(),
                        source_arn: system.remove(&source),
                        attributes: attributes
                            .into_iter()
                            .filter_map(|(name, value)| Some((name, value.string_value?)))
                            .collect(),
                    });
                }
            }
            if letters.len() == before {
                empty += 1;
            }
        }
        for handle in &handles {
            self.give_back(url, handle).await;
        }
        match failed {
            Some(fault) => Err(fault),
            None => Ok(Peeked {
                complete: letters.len() >= there,
                letters,
            }),
        }
    }
}
