//! Reads rows of the event log as events.

use events::Envelope;
use outbox::{Item, log::LogRow};

/// Reads a row of the log and its envelope.
///
/// # Errors
/// What cannot be read, or in what row and envelope differ.
pub(super) fn read(item: Item) -> Result<(LogRow, Envelope), String> {
    let row =
        LogRow::read(item).map_err(|name| format!("attribute {name} is missing or malformed"))?;
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
