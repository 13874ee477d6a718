//! How many events of each type, and of each producer, there were since counting began. Without these rows, a reader
//! would have to add up the rows of all days.
//!
//! | row | partition | sort key | attributes |
//! |---|---|---|---|
//! | all-time total of a type | `ever#{shard}` | `{event_type}` | `n` |
//! | all-time total of a producer | `ever-producer#{shard}` | `{producer}` | `n` |
//! | a producer on a day | `producer#{shard}` | `{day}#{producer}` | `c00` to `c23` |
//!
//! A type of our own has one producer, which its contract names, so the rows of the type are enough. Producers have
//! rows only for events from outside, whose contracts are open to any producer.

use std::collections::BTreeMap;

use events::{ContractInfo, Envelope, Registry, Timestamp};
use outbox::{Error, Item, Key, Outbox, Query, SortKey, Table};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    buckets::{Bucket, HOUR_MILLIS},
    counting::{hour_of, shard_of},
    rows::{COUNT, HOURS, SHARDS, day_text},
};

const EVER: &str = "ever";
const EVER_PRODUCER: &str = "ever-producer";
const PRODUCER: &str = "producer";
const NUMBER: &str = "n";
/// How many rows one query reads.
const PAGE: u32 = 500;

/// The row that an event adds to, and what it adds.
pub type Added = (Key, Vec<(&'static str, Decimal)>);

/// The key of the row that counts all events of this event's type in its shard.
#[must_use]
pub fn ever_key(table: &Table, event: &Envelope) -> Key {
    let shard = shard_of(event.event_id);
    table.key(format!("{EVER}#{shard}"), event.event_type.as_str())
}

/// The partitions of the all-time totals of types.
pub fn ever_partitions() -> impl Iterator<Item = String> {
    (0..SHARDS).map(|shard| format!("{EVER}#{shard}"))
}

/// What an event adds besides the counts of its day.
#[must_use]
pub fn added_ever(table: &Table, event: &Envelope) -> Vec<Added> {
    let mut added = vec![(ever_key(table, event), vec![(NUMBER, Decimal::ONE)])];
    if is_open(event.event_type.as_str()) {
        let (shard, producer) = (shard_of(event.event_id), &event.producer);
        let ever = table.key(format!("{EVER_PRODUCER}#{shard}"), producer.as_str());
        added.push((ever, vec![(NUMBER, Decimal::ONE)]));
        let day = format!("{}#{producer}", day_text(event.occurred_at));
        let hour = COUNT.get(hour_of(event)).copied().unwrap_or(COUNT[0]);
        let of_day = table.key(format!("{PRODUCER}#{shard}"), day);
        added.push((of_day, vec![(hour, Decimal::ONE)]));
    }
    added
}

/// The number in a row of an all-time total.
#[must_use]
pub fn number_of(row: &Item) -> u64 {
    row.get(NUMBER).and_then(Value::as_u64).unwrap_or_default()
}

/// The number of events of each type since counting began.
///
/// # Errors
/// [`Error`] when the store fails.
pub async fn ever(outbox: &Outbox, table: &Table) -> Result<BTreeMap<String, u64>, Error> {
    sum(outbox, table, EVER).await
}

/// The number of events of each producer since counting began.
///
/// # Errors
/// [`Error`] when the store fails.
pub async fn ever_of_producers(
    outbox: &Outbox,
    table: &Table,
) -> Result<BTreeMap<String, u64>, Error> {
    let mut producers = sum(outbox, table, EVER_PRODUCER).await?;
    for (event_type, number) in sum(outbox, table, EVER).await? {
        if let Some(producer) = only_producer(&event_type) {
            *producers.entry(producer.to_owned()).or_default() += number;
        }
    }
    Ok(producers)
}

/// The number of events of each outside producer, by buckets of time.
///
/// # Errors
/// [`Error`] when the store fails or a row cannot be read.
pub async fn outside_producers(
    outbox: &Outbox,
    table: &Table,
    bucket: Bucket,
    (from, to): (Timestamp, Timestamp),
) -> Result<BTreeMap<(Timestamp, String), u64>, Error> {
    let mut counts = BTreeMap::new();
    for shard in 0..SHARDS {
        let mut query = Query {
            from: Some(SortKey::Text(day_text(from))),
            ..Query::partition(table, format!("{PRODUCER}#{shard}"), PAGE)
        };
        'shard: loop {
            let page = outbox.store().query(&query).await?;
            for row in &page.items {
                let key = row.get("sk").and_then(Value::as_str).unwrap_or_default();
                let (day, producer) = key.split_once('#').unwrap_or((key, ""));
                let midnight: Timestamp = format!("{day}T00:00:00.000Z").parse().map_err(|_| {
                    let source = serde::de::Error::custom("its sort key does not begin with a day");
                    let key = key.to_owned();
                    Error::Item { key, source }
                })?;
                if midnight >= to {
                    break 'shard;
                }
                for (hour, name) in (0_i64..).zip(COUNT).take(HOURS) {
                    let number = row.get(name).and_then(Value::as_u64).unwrap_or_default();
                    let moment = midnight.unix_millis() + hour * HOUR_MILLIS;
                    let moment = Timestamp::from_unix_millis(moment).unwrap_or(midnight);
                    if number > 0 && moment >= from && moment < to {
                        let place = (bucket.start(moment), producer.to_owned());
                        *counts.entry(place).or_default() += number;
                    }
                }
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    Ok(counts)
}

/// The only producer of a type; `None` if others publish it too or the type is unknown.
#[must_use]
pub fn only_producer(event_type: &str) -> Option<&'static str> {
    let contract = contract(event_type)?;
    (!contract.is_open()).then_some(contract.producer)
}

fn is_open(event_type: &str) -> bool {
    contract(event_type).is_some_and(ContractInfo::is_open)
}

fn contract(event_type: &str) -> Option<&'static ContractInfo> {
    let mut contracts = Registry::shipped_contracts().iter();
    contracts.find(|contract| contract.event_type == event_type)
}

async fn sum(
    outbox: &Outbox,
    table: &Table,
    partition: &str,
) -> Result<BTreeMap<String, u64>, Error> {
    let mut sums = BTreeMap::new();
    for shard in 0..SHARDS {
        let mut query = Query::partition(table, format!("{partition}#{shard}"), PAGE);
        loop {
            let page = outbox.store().query(&query).await?;
            for row in &page.items {
                let name = row.get("sk").and_then(Value::as_str).unwrap_or_default();
                *sums.entry(name.to_owned()).or_default() += number_of(row);
            }
            query.after = page.next;
            if query.after.is_none() {
                break;
            }
        }
    }
    Ok(sums)
}
