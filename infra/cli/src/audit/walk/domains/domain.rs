//! What a domain implements for the audit.

use async_trait::async_trait;
use domain::Witness;
use events::{Envelope, EventId};

use super::super::{
    super::{Error, Figure},
    audit::{Audit, Event},
};

/// Whether a consumer handled an event, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum HandlingStatus {
    /// The consumer's evidence exists.
    Handled,
    /// The mark may have expired.
    Expired,
    /// There is no evidence yet. If there is later, [`DomainAudit::on_handled`] is called.
    Open,
}

/// The audit of one domain, or of one consumer with rows of its own.
///
/// The `on_…` hooks are called first, for the whole event log, in no order. Once dead letters and lanes are read,
/// [`Self::check`] compares the stored rows with the log. [`Self::conclude`] is called when every domain is checked.
#[async_trait]
pub(in super::super) trait DomainAudit: Send {
    /// The name of the domain or consumer, under which the report lists it.
    fn name(&self) -> &'static str;

    /// The aggregate types that have a state item from their first event on. [`Self::check`] passes these items to
    /// [`Audit::state`]. Default: the types of the domain of this name.
    fn states(&self) -> Vec<&'static str> {
        let mut all = ::domains::ALL.iter();
        let domain = all.find(|one| one.name == self.name());
        let aggregates = domain.into_iter().flat_map(|one| one.aggregates);
        aggregates.map(|one| one.aggregate_type()).collect()
    }

    /// Called for a row of the log whose envelope can be read. Its payload is not validated yet.
    fn on_row(&mut self, _audit: &mut Audit<'_>, _envelope: &Envelope) {}

    /// Called for an event whose payload is valid.
    ///
    /// # Errors
    /// Why the payload cannot be decoded although it is valid.
    fn on_event(&mut self, _audit: &mut Audit<'_>, _envelope: &Envelope) -> Result<(), String> {
        Ok(())
    }

    /// Called for each event and each consumer that listens to it: whether the consumer handled it.
    fn on_evidence(
        &mut self,
        _audit: &mut Audit<'_>,
        _consumer: &str,
        _envelope: &Envelope,
        _seen: HandlingStatus,
    ) {
    }

    /// Called for an event once the evidence of all its consumers was looked up.
    fn on_looked_up(&mut self, _audit: &mut Audit<'_>, _event: &Event) {}

    /// Called if the second look finds evidence for an event that was [`HandlingStatus::Open`].
    fn on_handled(&mut self, _consumer: &str, _event_id: EventId) {}

    /// Compares the stored rows with the log.
    async fn check(&mut self, _audit: &mut Audit<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// Called for an aggregate of a [`domain::Domain`] that was rebuilt from its events.
    fn on_rebuilt(&mut self, _audit: &mut Audit<'_>, _aggregate: &str, _witness: &Witness) {}

    /// Does the comparisons that need every domain checked and every aggregate rebuilt.
    async fn conclude(&mut self, _audit: &mut Audit<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// How many things were compared, by name.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The domain's totals, by name. None if only some aggregates were audited.
    fn figures(&self) -> Vec<(&'static str, Figure)> {
        Vec::new()
    }
}
