//! What `cloud-treasury` has counted as outstanding, row by row, against the events that it counted.

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
    walk::{advice, audit::Audit, domains::Seen},
};

/// Credits that events bring into one row of the total.
#[derive(Debug, Clone, Default)]
struct Shard {
    /// Surely counted.
    counted: Vec<(EventId, Decimal)>,
    /// Counted or not.
    uncertain: Vec<(EventId, Decimal)>,
}

/// The total, as the log tells it and as it is stored.
pub(super) struct Outstanding {
    shards: Vec<Shard>,
    /// Its rows; nothing where only some aggregates are audited.
    stored: Option<Vec<Decimal>>,
    /// What was minted, burned and redeemed, by the log.
    pub(super) told: [Decimal; 3],
}

impl Default for Outstanding {
    fn default() -> Self {
        Self {
            shards: vec![Shard::default(); usize::from(totals::SHARDS)],
            stored: None,
            told: [Decimal::ZERO; 3],
        }
    }
}

impl Outstanding {
    fn shard(&mut self, event_id: EventId) -> Option<&mut Shard> {
        self.shards.get_mut(usize::from(totals::shard_of(event_id)))
    }

    /// Enters what an event brings into its row.
    pub(super) fn enter(&mut self, consumer: &str, envelope: &Envelope, seen: Seen) {
        if consumer != FUNCTION.name {
            return;
        }
        let Some(change) = outstanding_change(envelope) else {
            return;
        };
        let event_id = envelope.event_id;
        if let Some(shard) = self.shard(event_id) {
            let events = match seen {
                // The treasury has been there from the first day on: what is older than its mark, it handled.
                Seen::Handled | Seen::Expired => &mut shard.counted,
                Seen::Open => &mut shard.uncertain,
            };
            events.push((event_id, change));
        }
    }

    /// What was counted after the log was read may be in a row already.
    pub(super) fn may_have(&mut self, event_id: EventId, change: Decimal) {
        if let Some(shard) = self.shard(event_id) {
            shard.uncertain.push((event_id, change));
        }
    }

    /// An event was counted after all.
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

    /// Compares each row with what was counted in it; what all of them come to.
    pub(super) fn check(&mut self, audit: &mut Audit<'_>) -> Option<Decimal> {
        let stored = self.stored.take()?;
        let mut shards = std::mem::take(&mut self.shards);
        for (number, (shard, stored)) in shards.iter_mut().zip(&stored).enumerate() {
            // Ids ascend with time: of several that explain a difference, the latest is named.
            shard.counted.sort_by_key(|(event_id, _)| *event_id);
            match check_total(&shard.counted, &shard.uncertain, *stored) {
                Total::Agrees => {}
                // Of a settled stack, what is uncertain is a finding already.
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
