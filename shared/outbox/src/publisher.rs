//! The publisher port: what a bus must do.

use async_trait::async_trait;

use crate::Fault;

/// One event on its way to the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusEntry {
    /// Who published it: the envelope's producer.
    pub source: String,
    /// The envelope's event type.
    pub detail_type: String,
    /// The envelope, byte for byte.
    pub detail: String,
    /// The trace, in the format that the bus expects.
    pub trace_header: Option<String>,
}

/// Why the bus did not accept one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EntryFault {
    /// The bus's error code.
    pub code: String,
    /// The bus's error message.
    pub message: String,
    /// Whether a retry is pointless: the entry is malformed, or its source is not authorised.
    pub permanent: bool,
}

/// A bus. It MUST return a result for every entry, in order. It MUST NOT return `Ok` for an entry that it has not
/// stored durably.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes up to 10 entries.
    ///
    /// # Errors
    /// A [`Fault`] when the call as a whole failed. It is then unknown whether the bus accepted any entry.
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault>;
}
