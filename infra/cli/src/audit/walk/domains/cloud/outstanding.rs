//! Compares the outstanding total of `cloud-treasury`, row by row, with the events it counted.

use cloud::{
    books::{AsIf, Total, check_total, outstanding_change},
    totals,
};
use events::{Envelope, EventId};
use outbox::{Key, Table};
use rust_decimal::Decimal;
use topology::functions::cloud_treasury::FUNCTION;

use crate::audit::{
    Error, Kind,
    walk::{advice, audit::Audit, domains::HandlingStatus},
};

/// The credits that events add to one row of the total.
#[derive(Debug, Clone, Default)]
struct Shard {
    /// Certainly counted.
    counted: Vec<(EventId, Decimal)>,
    /// Possibly counted.
    uncertain: Vec<(EventId, Decimal)>,
}

/// The total as it follows from the log, and as it is stored.
pub(super) struct Outstanding {
    shards: Vec<Shard>,
    /// The stored rows. `None` if only some aggregates are audited.
    stored: Option<Vec<Decimal>>,
    /// The minted, burned and redeemed credits of the log.
    pub(super) recorded: [Decimal; 3],
}

impl Default for Outstanding {
    fn default() -> Self {
        Self {
            shards: vec![Shard::default(); usize::from(totals::SHARDS)],
            stored: None,
            recorded: [Decimal::ZERO; 3],
        }
    }
}

impl Outstanding {
    fn shard(&mut self, event_id: EventId) -> Option<&mut Shard> {
        self.shards.get_mut(usize::from(totals::shard_of(event_id)))
    }

    /// Adds an event's credits to its row.
    pub(super) fn enter(&mut self, consumer: &str, envelope: &Envelope, seen: HandlingStatus) {
        if consumer != FUNCTION.name {
            return;
        }
        let Some(change) = outstanding_change(envelope) else {
            return;
        };
        let event_id = envelope.event_id;
        if let Some(shard) = self.shard(event_id) {
            let events = match seen {
                // The treasury has existed since the first day, so it handled the events whose marks have expired.
                HandlingStatus::Handled | HandlingStatus::Expired => &mut shard.counted,
                HandlingStatus::Open => &mut shard.uncertain,
            };
            events.push((event_id, change));
        }
    }

    /// Adds credits that may be in a row although the log did not have their event when it was read.
    pub(super) fn may_have(&mut self, event_id: EventId, change: Decimal) {
        if let Some(shard) = self.shard(event_id) {
            shard.uncertain.push((event_id, change));
        }
    }

    /// Records that an event was counted.
    pub(super) fn handled(&mut self, consumer: &str, event_id: EventId) {
        if consumer != FUNCTION.name {
            return;
        }
        let Some(shard) = self.shard(event_id) else {
            return;
        };
        let is_it = |(id, _): &(EventId, Decimal)| *id == event_id;
        if let Some(at) = shard.uncertain.iter().position(is_it) {
            let change = shard.uncertain.remove(at);
            shard.counted.push(change);
        }
    }

    /// Reads the rows, before any account.
    pub(super) async fn read(&mut self, audit: &mut Audit<'_>, table: &Table) -> Result<(), Error> {
        if !audit.is_whole() {
            return Ok(());
        }
        let keys: Vec<Key> = (0..totals::SHARDS)
            .map(|shard| totals::key(table, shard))
            .collect();
        let items = audit.items(&keys).await?;
        let mut rows = Vec::new();
        for (key, item) in keys.iter().zip(items) {
            rows.push(match item {
                Some(item) => totals::row(key, item)?,
                None => Decimal::ZERO,
            });
        }
        self.stored = Some(rows);
        Ok(())
    }

    /// Compares each row with the events counted in it, and returns the total of all rows.
    pub(super) fn check(&mut self, audit: &mut Audit<'_>) -> Option<Decimal> {
        let stored = self.stored.take()?;
        let mut shards = std::mem::take(&mut self.shards);
        for (number, (shard, stored)) in shards.iter_mut().zip(&stored).enumerate() {
            // Ids ascend with time: if several events explain a difference, the latest one is reported.
            shard.counted.sort_by_key(|(event_id, _)| *event_id);
            match check_total(&shard.counted, &shard.uncertain, *stored) {
                Total::Agrees => {}
                // In a settled stack, uncertain events have findings already.
                Total::AgreesWithUncertain if audit.options.settled => {}
                Total::AgreesWithUncertain | Total::Unknown => audit.counts.moving += 1,
                Total::Wrong { expected, as_if } => {
                    let row = format!(
                        "row {number} of the outstanding total is {stored} instead of {expected}"
                    );
                    wrong(audit, row, as_if);
                }
            }
        }
        Some(stored.iter().sum())
    }
}

fn wrong(audit: &mut Audit<'_>, row: String, as_if: AsIf) {
    let name = FUNCTION.name;
    match as_if {
        AsIf::Twice(event_id) => audit.about(
            Kind::Doubled,
            event_id,
            Some(name),
            Some(format!("handled by {name}")),
            format!("{row}, as if this event had been counted twice"),
            advice::DOUBLED,
        ),
        AsIf::Never(event_id) => audit.about(
            Kind::Lost,
            event_id,
            Some(name),
            Some(format!("marked as handled by {name}")),
            format!("{row}, as if this event had not been counted"),
            advice::BOOKS,
        ),
        AsIf::Unknown => audit.found(
            Kind::Books,
            None,
            None,
            row,
            "counted by cloud-treasury",
            advice::BOOKS,
        ),
    }
}
