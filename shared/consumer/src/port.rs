//! The port to a consumer's queues.

use std::time::Duration;

use async_trait::async_trait;
use outbox::Fault;

use crate::Letter;

/// The longest time for which SQS can hide a message
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>, read
/// 2026-11-21).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The queues of a consumer.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Hides a received message for `span` from now. Afterwards the queue delivers it again.
    async fn hide(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        span: Duration,
    ) -> Result<(), Fault>;

    /// Sends a dead letter to the stack's dead-letter queue. MUST have stored it durably when it reports success.
    async fn park(&self, dead_letter_queue_url: &str, letter: &Letter) -> Result<(), Fault>;
}
