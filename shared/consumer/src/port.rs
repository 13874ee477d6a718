//! What the runtime does to the queues of a consumer.

use std::time::Duration;

use async_trait::async_trait;
use outbox::Fault;

use crate::Letter;

/// The longest a message can be hidden
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ChangeMessageVisibility.html>, read
/// 2026-11-21).
pub const MAX_VISIBILITY: Duration = Duration::from_secs(43_200);

/// The queues' port.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Hides a received message for a span from now; it comes back after it.
    async fn hide(
        &self,
        queue_url: &str,
        receipt_handle: &str,
        span: Duration,
    ) -> Result<(), Fault>;

    /// Sends a letter. MUST have stored it durably when it answers with success.
    async fn park(&self, dead_letter_queue_url: &str, letter: &Letter) -> Result<(), Fault>;
}
