//! Rows of the log as events, and an aggregate's events in their order.

use events::Envelope;
use outbox::{Item, log::Row};

use super::{super::Error, audit::Audit, reading::Place};

/// A row of the log and its envelope.
///
/// # Errors
/// In what they cannot be read, or do not agree.
pub(super) fn read(item: Item) -> Result<(Row, Envelope), String> {
    let row =
        Row::read(item).map_err(|name| format!("attribute {name} is missing or malformed"))?;
    let envelope: Envelope = serde_json::from_str(row.envelope_json())
        .map_err(|error| format!("the envelope cannot be read: {error}"))?;
    let differs = [
        ("aggregate", envelope.aggregate() != row.aggregate),
        ("sequence", envelope.sequence.number() != row.sequence),
        ("event_id", envelope.event_id.to_string() != row.event_id),
        ("event_type", envelope.event_type.as_str() != row.event_type),
    ];
    let differing: Vec<&str> = differs
        .iter()
        .filter(|(_, differs)| *differs)
        .map(|(name, _)| *name)
        .collect();
    if differing.is_empty() {
        return Ok((row, envelope));
    }
    Err(format!(
        "the envelope of event {} says another {} than its row",
        envelope.event_id,
        differing.join(", ")
    ))
}

impl Audit<'_> {
    /// The events of an aggregate in their order, up to the last one that the log had when it was read; without those that
    /// cannot be read or that break their contract, which were named.
    pub(super) async fn history(&mut self, aggregate: &str) -> Result<Vec<Envelope>, Error> {
        let known = self.aggregates.get(aggregate);
        let last = known.map_or(0, |known| known.sequences.last());
        let events = self.sources.tables.events.clone();
        let rows = Place::Partition(events, aggregate.to_owned()).pages();
        let rows = rows.all(self).await?;
        let envelopes = rows.into_iter().filter_map(|item| read(item).ok());
        Ok(envelopes
            .map(|(_, envelope)| envelope)
            .filter(|envelope| {
                let version = envelope.event_version.number();
                let contract = self.registry.get(envelope.event_type.as_str(), version);
                let is_kept =
                    contract.is_some_and(|one| one.decodes(envelope.payload.json()).is_ok());
                is_kept && envelope.sequence.number() <= last
            })
            .collect())
    }
}
