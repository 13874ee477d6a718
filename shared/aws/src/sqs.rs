//! A consumer's queues on SQS. Permissions: `sqs:ChangeMessageVisibility` on its lanes, and `sqs:SendMessage` on the
//! stack's dead-letter queue.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::{
    Client,
    error::SdkError,
    types::{MessageAttributeValue, QueueAttributeName},
};
use consumer::{Letter, MAX_VISIBILITY, Queue};
use events::Timestamp;
use outbox::{Fault, FaultKind};

/// A [`Queue`] on SQS.
#[derive(Debug, Clone)]
pub struct SqsQueue {
    client: Client,
}

impl SqsQueue {
    /// A queue with this client.
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self { client }
    }
}

/// Converts the failure of an SQS call: by its status, or to unavailable if there is none.
pub fn sqs_fault<E>(operation: &'static str, error: SdkError<E>) -> Fault
where
    E: std::error::Error + Send + Sync + 'static,
{
    let kind = match error
        .raw_response()
        .map(|response| response.status().as_u16())
    {
        Some(401 | 403) => FaultKind::Denied,
        Some(429 | 500..) | None => FaultKind::Unavailable,
        Some(_) => FaultKind::Rejected,
    };
    Fault::new(kind, operation, error)
}

/// The URL of a queue, by its name. Permission: `sqs:GetQueueUrl`.
///
/// # Errors
/// [`Fault`] when SQS does not know it or does not answer.
pub async fn queue_url(client: &Client, name: &str) -> Result<String, Fault> {
    let asked = client.get_queue_url().queue_name(name).send().await;
    let answer = asked.map_err(|error| sqs_fault("sqs GetQueueUrl", error))?;
    Ok(answer.queue_url.unwrap_or_default())
}

fn unreadable(what: String) -> Fault {
    Fault::new(FaultKind::Unreadable, "sqs GetQueueAttributes", what)
}

/// Attributes of a queue that are whole numbers. Permission: `sqs:GetQueueAttributes`.
///
/// # Errors
/// [`Fault`] when SQS does not answer, or an attribute is not there or no number.
pub async fn queue_numbers<const N: usize>(
    client: &Client,
    url: &str,
    names: [QueueAttributeName; N],
) -> Result<[u64; N], Fault> {
    let asked = client.get_queue_attributes().queue_url(url);
    let answer = asked.set_attribute_names(Some(names.to_vec())).send().await;
    let answer = answer.map_err(|error| sqs_fault("sqs GetQueueAttributes", error))?;
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

/// When a queue was created. SQS tells it in whole seconds
/// (<https://boto3.amazonaws.com/v1/documentation/api/1.28.83/reference/services/sqs/client/get_queue_attributes.html>, read
/// 2026-11-29), so it may be up to a second early, and never late. Permission: `sqs:GetQueueAttributes`.
///
/// # Errors
/// As [`queue_numbers`].
pub async fn queue_created_at(client: &Client, url: &str) -> Result<Timestamp, Fault> {
    let [seconds] = queue_numbers(client, url, [QueueAttributeName::CreatedTimestamp]).await?;
    let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Timestamp::from_unix_millis(millis)
        .map_err(|error| unreadable(format!("CreatedTimestamp is {seconds}: {error}")))
}

/// A message attribute that is text.
///
/// # Errors
/// [`Fault`] never: it has a type.
pub fn text_attribute(text: impl Into<String>) -> Result<MessageAttributeValue, Fault> {
    let attribute = MessageAttributeValue::builder().data_type("String");
    let attribute = attribute.string_value(text).build();
    attribute.map_err(|error| Fault::new(FaultKind::Rejected, "sqs SendMessage", error))
}

#[async_trait]
impl Queue for SqsQueue {
    async fn hide(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        span: Duration,
    ) -> Result<(), Fault> {
        let half = Duration::from_millis(500);
        let seconds = span.saturating_add(half).min(MAX_VISIBILITY).as_secs();
        let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
        self.client
            .change_message_visibility()
            .queue_url(queue_url)
            .receipt_handle(receipt_handle)
            .visibility_timeout(seconds)
            .send()
            .await
            .map(drop)
            .map_err(|error| sqs_fault("sqs ChangeMessageVisibility", error))
    }

    async fn park(&self, dead_letter_queue_url: &str, letter: &Letter) -> Result<(), Fault> {
        let mut call = self
            .client
            .send_message()
            .queue_url(dead_letter_queue_url)
            .message_body(letter.body.as_str());
        for (name, text) in letter.attributes() {
            call = call.message_attributes(name, text_attribute(text)?);
        }
        call.send()
            .await
            .map(drop)
            .map_err(|error| sqs_fault("sqs SendMessage", error))
    }
}
