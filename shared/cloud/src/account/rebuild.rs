//! Rebuilds an account from events alone: its own events, and the transfers that it received, which are events of the
//! sender's account. It shares no code with the decisions: it takes what an event states as given.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::{Contradiction, Rebuild, Step, must};
use events::{Contract as _, Credits, Envelope, Retention, Sequence, contracts::cloud::Minted};
use outbox::{Error, Outbox, State as _, Table};
use rust_decimal::Decimal;

use super::{Account, Kind, Movement};
use crate::books::entries_of;

/// How many lines of a statement one query reads.
const PAGE: u32 = 100;

fn changed(
    before: Credits,
    change: Decimal,
    stated: Option<Credits>,
    words: &'static str,
) -> Result<Credits, Contradiction> {
    let after = Credits::new(before.decimal() + change);
    let after =
        after.map_err(|_| Contradiction::Says("its balance would be below zero or too large"))?;
    must(stated.is_none_or(|stated| stated == after), words)?;
    Ok(after)
}

#[async_trait]
impl Rebuild for Account {
    type Stored = Self;
    const RETENTION: Retention = Minted::RETENTION;

    fn stored(&self) -> Self {
        *self
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let entries = entries_of(envelope)?;
        let entry = entries.into_iter().find(|entry| entry.account == id);
        let entry = entry.ok_or(Contradiction::Says("it changes no account"))?;
        let (recorded, before) = (entry.recorded, before.unwrap_or_default());
        let account = Self {
            balance: changed(
                before.balance,
                recorded.change(),
                recorded.balance_after,
                "its balance does not follow from the event before",
            )?,
            staked: changed(
                before.staked,
                recorded.staked_change(),
                recorded.staked_after,
                "its staked balance does not follow from the event before",
            )?,
        };
        let version = Sequence::new(entry.version);
        let version = version.map_err(|_| Contradiction::Says("it states no version"))?;
        Ok((account, version))
    }

    fn stated(envelope: &Envelope) -> Vec<(String, Sequence)> {
        let entries = entries_of(envelope).unwrap_or_default().into_iter();
        let stated = entries.filter_map(|entry| {
            let version = Sequence::new(entry.version).ok()?;
            Some((entry.account, version))
        });
        stated.collect()
    }

    /// Finds the transfers that the account received by its statement, which names the sender and the event.
    async fn elsewhere(
        outbox: &Outbox,
        table: &Table,
        id: &str,
        most: usize,
    ) -> Result<Vec<Envelope>, Error> {
        let mut wanted: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let mut lines_read = 0;
        let mut query = Movement::statement(table, id, PAGE);
        loop {
            let (lines, next) = outbox.rows::<Movement>(&query).await?;
            lines_read += lines.len();
            for line in lines {
                if let (Kind::TransferredIn, Some(giver)) = (line.kind, line.counterparty) {
                    let of_giver = wanted.entry(giver.to_string()).or_default();
                    of_giver.insert(line.event_id.to_string());
                }
            }
            query.after = next;
            if query.after.is_none() || lines_read >= most {
                break;
            }
        }
        let mut found = Vec::new();
        let mut left = most;
        for (giver, mut events) in wanted {
            let aggregate = format!("{}#{giver}", Self::AGGREGATE);
            let mut position = 0;
            while !events.is_empty() && left > 0 {
                let (rows, more) = outbox.rows_after(&aggregate, position, PAGE).await?;
                left = left.saturating_sub(rows.len());
                for row in rows {
                    position = row.sequence;
                    if events.remove(&row.event_id) {
                        // An event that cannot be read appears as a missing version.
                        found.extend(events::Registry::read(row.envelope_json()));
                    }
                }
                if !more {
                    break;
                }
            }
        }
        Ok(found)
    }
}
