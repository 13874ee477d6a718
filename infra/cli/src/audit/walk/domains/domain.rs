//! What the walk asks of a domain.

use async_trait::async_trait;
use domain::Witness;
use events::{Envelope, EventId};

use super::super::{
    super::{Error, Figure},
    audit::{Audit, Event},
};

/// What is known of whether a consumer handled an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Seen {
    /// Its evidence is there.
    Handled,
    /// Its mark may have gone by its age.
    Expired,
    /// There is no sign of it yet; [`DomainAudit::on_handled`] says where there is later.
    Open,
}

/// One domain, or one consumer with rows of its own.
///
/// The hooks hear the whole event log first, in no order; then, once letters and lanes were read, [`Self::check`] compares
/// what is stored with it, and [`Self::conclude`] what can be said only when every domain was checked.
#[async_trait]
pub(in super::super) trait DomainAudit: Send {
    /// The domain's name, or the consumer's: its place in the report.
    fn name(&self) -> &'static str;

    /// Types of aggregates that have a state item from their first event on, which [`Self::check`] hands to
    /// [`Audit::state`]: those of the domain of this name.
    fn states(&self) -> Vec<&'static str> {
        let mut all = ::domains::ALL.iter();
        let domain = all.find(|one| one.name == self.name());
        let aggregates = domain.into_iter().flat_map(|one| one.aggregates);
        aggregates.map(|one| one.aggregate_type()).collect()
    }

    /// A row of the log whose envelope can be read. Whether its payload keeps its contract is not known yet.
    fn on_row(&mut self, _audit: &mut Audit<'_>, _envelope: &Envelope) {}

    /// An event whose payload keeps its contract.
    ///
    /// # Errors
    /// Why the payload cannot be what its contract says after all.
    fn on_event(&mut self, _audit: &mut Audit<'_>, _envelope: &Envelope) -> Result<(), String> {
        Ok(())
    }

    /// Whether a consumer that listens to an event handled it.
    fn on_evidence(
        &mut self,
        _audit: &mut Audit<'_>,
        _consumer: &str,
        _envelope: &Envelope,
        _seen: Seen,
    ) {
    }

    /// An event, now that each consumer's evidence of it was looked for.
    fn on_looked_up(&mut self, _audit: &mut Audit<'_>, _event: &Event) {}

    /// A consumer handled an event after all that was [`Seen::Open`].
    fn on_handled(&mut self, _consumer: &str, _event_id: EventId) {}

    /// Compares what is stored with the log.
    async fn check(&mut self, _audit: &mut Audit<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// An aggregate of a [`domain::Domain`] was rebuilt from its events.
    fn on_rebuilt(&mut self, _audit: &mut Audit<'_>, _aggregate: &str, _witness: &Witness) {}

    /// Compares what needs every domain's [`Self::check`] to be over, and every aggregate rebuilt.
    async fn conclude(&mut self, _audit: &mut Audit<'_>) -> Result<(), Error> {
        Ok(())
    }

    /// How much was compared, by name.
    fn counts(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The domain's sums, by name; none where only some aggregates were audited.
    fn figures(&self) -> Vec<(&'static str, Figure)> {
        Vec::new()
    }
}
