//! The feed at the end of a campaign: it has each event of the log once, with the same content, in the order of its
//! aggregate.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;
use views::feed::{Head, rows_after};

use super::{
    Field,
    books::{Finding, Logged},
};
use crate::e2e::Result;

/// The position of the feed's head.
pub(super) async fn head(field: &Field) -> Result<u64> {
    let head = Head::read(&field.outbox, &field.feed).await?;
    Ok(head.map_or(0, |head| head.position))
}

/// An event in the feed.
struct Stands {
    position: u64,
    sequence: u64,
    envelope: String,
}

/// The events after a position of the feed, by aggregate and event, as a reader of the feed finds them.
async fn read(
    field: &Field,
    mut position: u64,
    found: &mut Vec<Finding>,
) -> Result<BTreeMap<String, BTreeMap<String, Vec<Stands>>>> {
    let mut fed: BTreeMap<String, BTreeMap<String, Vec<Stands>>> = BTreeMap::new();
    let head = head(field).await?;
    while position < head {
        let rows = rows_after(&field.outbox, &field.feed, position, head, 500).await?;
        if rows.is_empty() {
            found.push(Finding::of(format!(
                "the feed's head is {head}, but there is no row at {}",
                position + 1
            )));
            break;
        }
        for row in rows {
            position = row.position;
            let event: Value = serde_json::from_str(&row.envelope)?;
            let word = |name: &str| event[name].as_str().unwrap_or_default().to_owned();
            let aggregate = row.aggregate.replacen('/', "#", 1);
            let events = fed.entry(aggregate).or_default();
            events.entry(word("event_id")).or_default().push(Stands {
                position,
                sequence: event["sequence"].as_u64().unwrap_or(0),
                envelope: row.envelope,
            });
        }
    }
    Ok(fed)
}

/// Compares the event log of the campaign's aggregates with the feed since the campaign began.
pub(super) async fn check(field: &Field, log: &[Logged], found: &mut Vec<Finding>) -> Result {
    let mut fed = read(field, field.fed_before, found).await?;
    let mut last: BTreeMap<&str, u64> = BTreeMap::new();
    let ours: BTreeSet<&str> = log.iter().map(|one| one.row.aggregate.as_str()).collect();
    for one in log {
        let aggregate = one.row.aggregate.as_str();
        let of = fed.get_mut(aggregate);
        let stands = of.and_then(|events| events.remove(&one.row.event_id));
        let stands = stands.unwrap_or_default();
        let [stands] = stands.as_slice() else {
            found.push(Finding::of(format!(
                "{aggregate} {} is {} times in the feed",
                one.row.sequence,
                stands.len()
            )));
            continue;
        };
        let same =
            stands.sequence == one.row.sequence && stands.envelope == one.row.envelope_json();
        // The log is in the order of each aggregate.
        let before = last.insert(aggregate, stands.position);
        if !same || before.is_some_and(|before| before >= stands.position) {
            found.push(Finding::of(format!(
                "{aggregate} {} is in the feed at {}, after {before:?}: {}",
                one.row.sequence, stands.position, stands.envelope
            )));
        }
    }
    for (aggregate, events) in fed {
        if ours.contains(aggregate.as_str()) && !events.is_empty() {
            found.push(Finding::of(format!(
                "{} events of {aggregate} are only in the feed",
                events.len()
            )));
        }
    }
    Ok(())
}
