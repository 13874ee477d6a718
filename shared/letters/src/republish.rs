//! Republications: the events of the event log that are still pending are published to the bus, by an operation.
//!
//! An event is pending if the stream did not bring it to the bus within 24 hours, or if the bus refused it for good. The walk is
//! [`outbox::republish`]'s; here is what an operation adds: who asked and why, one at a time, and where it goes on.

use std::time::Duration;

use events::{
    Text,
    contracts::operation::{OperationAct, RepublishSelection},
};
use outbox::Transaction;

use crate::{
    Operation, Operations, Refusal,
    operation::{Begin, By, Progress, ReplayProgress},
    operations::Stopped,
};

/// How old an event must be at least, unless the caller says otherwise: what is younger still comes by the stream.
pub const OLDER_THAN: Duration = Duration::from_secs(24 * 60 * 60);

/// Who begins a republication, why, and how fast it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BeginRepublish {
    /// Which events.
    pub selection: RepublishSelection,
    /// How many events to publish in a second at most, 1 to 100.
    pub rate_per_second: u32,
    /// Who and why.
    pub by: By,
    /// The owner of the API key that begins it.
    pub key_owner: Text<256>,
}

impl Operations<'_> {
    /// Decides whether a republication can begin. Nothing is written.
    ///
    /// # Errors
    /// [`Refusal::Republishing`], [`Refusal::TooManyOperations`]; [`Stopped::Failed`].
    pub async fn can_republish(&self) -> Result<(), Stopped> {
        self.must_have_room().await?;
        for operation_id in self.unfinished().await? {
            let operation = self.operation(operation_id).await?;
            let state = operation.state();
            if state.is_some_and(|state| state.republish().is_some()) {
                return Err(Refusal::Republishing { operation_id }.into());
            }
        }
        Ok(())
    }

    /// Begins a republication.
    ///
    /// # Errors
    /// As [`Self::can_republish`].
    pub async fn begin_republish(
        &self,
        transaction: &mut Transaction,
        begin: BeginRepublish,
    ) -> Result<Operation, Stopped> {
        self.can_republish().await?;
        let progress = Progress {
            replay: Some(ReplayProgress::default()),
            ..Progress::default()
        };
        let BeginRepublish {
            selection,
            rate_per_second,
            by,
            key_owner,
        } = begin;
        let (id, act) = (transaction.uuid().into(), OperationAct::Republish);
        let begin = Begin {
            republish: Some(selection),
            ..Begin::about_the_log(id, act, rate_per_second, by, key_owner)
        };
        self.save_begun(transaction, &begin, &progress).await
    }
}
