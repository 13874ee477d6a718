//! A consumer's queues on SQS. Permissions: `sqs:ChangeMessageVisibility` on its lanes, and `sqs:SendMessage` on the
//! stack's dead-letter queue.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_sqs::{Client, error::SdkError, types::MessageAttributeValue};
use consumer::{Letter, MAX_VISIBILITY, Queue};
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
            let value = MessageAttributeValue::builder()
                .data_type("String")
                .string_value(text)
                .build()
                .map_err(|error| Fault::new(FaultKind::Rejected, "sqs SendMessage", error))?;
            call = call.message_attributes(name, value);
        }
        call.send()
            .await
            .map(drop)
            .map_err(|error| sqs_fault("sqs SendMessage", error))
    }
}
