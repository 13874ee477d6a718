//! An account from events alone: its own, and the transfers that stand in the history of who gave. It shares no step with the
//! decisions: what an event says is taken as it is.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use domain::{Contradiction, Rebuild, Step, must};
use events::{Contract as _, Credits, Envelope, Retention, Sequence, contracts::cloud::Minted};
use outbox::{Error, Outbox, State as _, Table};
use rust_decimal::Decimal;

use super::{Account, Kind, Movement};
use crate::books::entries_of;

/// Lines of a statement that are read at once.
const PAGE: u32 = 100;

fn changed(
    before: Credits,
    change: Decimal,
    stated: Option<Credits>,
    words: &'static str,
) -> Result<Credits, Contradiction> {
    let after = Credits::new(before.decimal() + change);
    let after =
        after.map_err(|_| Contradiction::Says("it holds less than nothing, or too much"))?;
    must(stated.is_none_or(|stated| stated == after), words)?;
    Ok(after)
}

#[async_trait]
impl Rebuild for Account {
    type Row = Self;
    const RETENTION: Retention = Minted::RETENTION;

    fn row(&self) -> Self {
        *self
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let entries = entries_of(envelope)?;
        let entry = entries.into_iter().find(|entry| entry.account == id);
        let entry = entry.ok_or(Contradiction::Says("it changes no account"))?;
        let (told, before) = (entry.told, before.unwrap_or_default());
        let account = Self {
            balance: changed(
                before.balance,
                told.change(),
                told.balance_after,
                "its balance does not follow",
            )?,
            staked: changed(
                before.staked,
                told.staked_change(),
                told.staked_after,
                "what is locked does not follow",
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

    /// The transfers that an account received are found by its statement, which names who gave and the event.
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
                        // One that cannot be read is a version that nothing states.
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
