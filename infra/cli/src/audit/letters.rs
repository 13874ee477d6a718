//! Queues as an audit reads them: how many messages a lane has, and the dead letters that are still in the dead-letter
//! queue. The audit consumes nothing.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use async_trait::async_trait;
use aws::sqs_fault;
use aws_sdk_sqs::{
    Client,
    types::{MessageSystemAttributeName, QueueAttributeName},
};
use events::{Envelope, Timestamp};
use outbox::{Fault, FaultKind};
use serde_json::Value;

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

/// A message of the dead-letter queue, or what its row keeps of it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RawLetter {
    /// The id that SQS gave it.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Its message attributes of type text.
    pub attributes: BTreeMap<String, String>,
    /// The ARN of the lane from which SQS moved it; `None` if SQS did not.
    pub source_arn: Option<String>,
}

impl RawLetter {
    /// The name of the consumer that parked it.
    pub(super) fn consumer(&self) -> Option<&str> {
        self.attributes.get("consumer").map(String::as_str)
    }

    /// The name of the lane's queue in which it was, or which EventBridge could not reach: the last part of its ARN.
    pub(super) fn lane(&self) -> Option<&str> {
        // EventBridge names the rule and its target, the lane
        // (<https://docs.aws.amazon.com/eventbridge/latest/userguide/rule-dlq.html>, read 2026-11-29).
        let target = self.attributes.get("TARGET_ARN");
        let arn = self.source_arn.as_ref().or(target)?;
        arn.rsplit(':').next()
    }
}

/// The dead letters that were read from a queue.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Peeked {
    /// The dead letters, each message once.
    pub letters: Vec<RawLetter>,
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

fn unreadable(what: String) -> Fault {
    Fault::new(FaultKind::Unreadable, "sqs GetQueueAttributes", what)
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

    /// Attributes of a queue that are whole numbers.
    async fn numbers<const N: usize>(
        &self,
        url: &str,
        names: [QueueAttributeName; N],
    ) -> Result<[u64; N], Fault> {
        let answer = self
            .client
            .get_queue_attributes()
            .queue_url(url)
            .set_attribute_names(Some(names.to_vec()))
            .send()
            .await
            .map_err(|error| sqs_fault("sqs GetQueueAttributes", error))?;
        let attributes = answer.attributes.unwrap_or_default();
        let mut numbers = [0; N];
        for (number, name) in numbers.iter_mut().zip(&names) {
            let text = attributes.get(name).map(String::as_str);
            *number = text
                .unwrap_or_default()
                .parse()
                .map_err(|error| unreadable(format!("{name} is {text:?}: {error}")))?;
        }
        Ok(numbers)
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
        let numbers = self.numbers(url, names).await?;
        Ok(numbers.into_iter().fold(0, u64::saturating_add))
    }

    async fn created_at(&self, url: &str) -> Result<Timestamp, Fault> {
        let name = QueueAttributeName::CreatedTimestamp;
        let [seconds] = self.numbers(url, [name]).await?;
        let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        Timestamp::from_unix_millis(millis)
            .map_err(|error| unreadable(format!("CreatedTimestamp is {seconds}: {error}")))
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
                    letters.push(RawLetter {
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

/// A dead letter, as far as it can be read.
#[derive(Debug, Clone)]
pub(super) struct Letter {
    /// The event's id, if the body or an attribute has it.
    pub(super) event_id: Option<String>,
    /// The event's type, if the body or an attribute has it.
    pub(super) event_type: Option<String>,
    /// `aggregate_type#aggregate_id`, if the body has it.
    pub(super) aggregate: Option<String>,
    /// The event's number, if the body has it.
    pub(super) sequence: Option<u64>,
    /// The envelope, if the body is a complete one.
    pub(super) envelope: Option<Envelope>,
    /// Why it was parked.
    pub(super) reason: String,
    /// The error, if one was recorded.
    pub(super) error: Option<String>,
    /// When a consumer parked it. `None` if SQS or EventBridge moved it here.
    pub(super) parked_at: Option<Timestamp>,
}

impl Letter {
    /// Reads a dead letter. Its body is the envelope, as consumers park it, or the bus's event with the envelope in
    /// `detail`, as EventBridge sends it if it cannot reach a lane.
    pub(super) fn read(raw: &RawLetter) -> Self {
        let attribute = |name: &str| raw.attributes.get(name).cloned();
        let body: Option<Value> = serde_json::from_str(&raw.body).ok();
        let from_bus = body
            .as_ref()
            .is_some_and(|body| body.get("detail-type").is_some() && body["detail"].is_object());
        let event = body
            .map(|mut body| {
                if from_bus {
                    body["detail"].take()
                } else {
                    body
                }
            })
            .unwrap_or_default();
        let text = |name: &str| event.get(name).and_then(Value::as_str).map(str::to_owned);
        // The envelope is read from the text, not from the value: a field given twice must not pass.
        let envelope = if from_bus {
            serde_json::from_str(&event.to_string()).ok()
        } else {
            serde_json::from_str(&raw.body).ok()
        };
        let (reason, error) = match (attribute("reason"), attribute("ERROR_CODE")) {
            (Some(reason), _) => (reason, attribute("error")),
            (None, Some(code)) => (
                format!("not delivered ({code})"),
                attribute("ERROR_MESSAGE"),
            ),
            (None, None) if from_bus => ("not delivered".to_owned(), None),
            (None, None) => ("exhausted".to_owned(), None),
        };
        Self {
            parked_at: attribute("parked_at").and_then(|at| at.parse().ok()),
            event_id: text("event_id").or_else(|| attribute("event_id")),
            event_type: text("event_type").or_else(|| attribute("event_type")),
            aggregate: text("aggregate_type")
                .zip(text("aggregate_id"))
                .map(|(kind, id)| format!("{kind}#{id}")),
            sequence: event.get("sequence").and_then(Value::as_u64),
            envelope,
            reason,
            error,
        }
    }
}
