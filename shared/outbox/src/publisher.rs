//! The publisher port: what a bus must do.

use async_trait::async_trait;

use crate::Fault;

/// One event on its way to the bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Who published it: the envelope's producer.
    pub source: String,
    /// The envelope's event type.
    pub detail_type: String,
    /// The envelope, byte for byte.
    pub detail: String,
    /// The trace, as the bus wants it.
    pub trace_header: Option<String>,
}

/// Why the bus did not take one entry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub struct EntryFault {
    /// The bus's error code.
    pub code: String,
    /// The bus's words.
    pub message: String,
    /// No repeat can help: the entry is malformed or its source not authorised.
    pub permanent: bool,
}

/// A bus. MUST answer for every entry, in order; MUST NOT answer `Ok` for one it has not durably taken.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Publishes up to 10 entries.
    ///
    /// # Errors
    /// A [`Fault`] when the call as a whole failed: then nothing is known to have been taken.
    async fn publish(&self, entries: &[Entry]) -> Result<Vec<Result<(), EntryFault>>, Fault>;
}
