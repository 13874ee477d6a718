//! The total of outstanding credits: a projection of 8 rows, so that commands do not contend for one counter.
//!
//! The consumer `cloud-treasury` adds each event's change to one row, in the transaction with its mark. A reader of the
//! total adds up all rows. A single row can be below zero (if a burn is counted in another row than its mint, or before
//! it), so only the sum is meaningful.

use events::{EventId, Usd};
use outbox::{Condition, Error, Item, Key, Outbox, State, Table, Transaction, decode_item};
use rust_decimal::Decimal;
use serde::Deserialize;
use serde_json::Number;

use crate::treasury::{RESERVE, TreasuryAccount};

/// How many rows the total is spread over.
pub const SHARDS: u8 = 8;

/// The number attribute of the rows, in credits.
pub const OUTSTANDING: &str = "outstanding";

/// The key of a row; `shard` is 0 to [`SHARDS`] − 1.
#[must_use]
pub fn key(table: &Table, shard: u8) -> Key {
    table.key(format!("outstanding#{shard}"), "shard")
}

/// The row in which an event is counted. The last byte of an event's id is random in both versions of UUID.
#[must_use]
pub fn shard_of(event_id: EventId) -> u8 {
    event_id.uuid().as_bytes()[15] % SHARDS
}

/// Counts what an event adds to the outstanding credits. A negative change reduces them. A stake changes nothing,
/// because locked credits are still outstanding.
pub fn add(transaction: &mut Transaction, table: &Table, event_id: EventId, change: Decimal) {
    let amounts = vec![(OUTSTANDING, change)];
    transaction.add(key(table, shard_of(event_id)), amounts);
}

/// What the treasury owes and holds, according to the events counted so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// Outstanding credits: the sum of all rows. It is below zero only while a burn is counted and its mint is not yet.
    pub outstanding: Decimal,
    /// The balance of account 1110; zero until it is stated for the first time.
    pub reserve: Usd,
}

impl Reading {
    /// Reads all rows and the reserve, consistently, in one call.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn of(outbox: &Outbox, table: &Table) -> Result<Self, Error> {
        Ok(Snapshot::of(outbox, table).await?.reading)
    }

    fn read<'a>(items: impl Iterator<Item = (&'a Key, Option<Item>)>) -> Result<Self, Error> {
        let mut reading = Self {
            outstanding: Decimal::ZERO,
            reserve: Usd::ZERO,
        };
        for (key, item) in items {
            let Some(item) = item else { continue };
            if key.pk.starts_with(TreasuryAccount::AGGREGATE) {
                reading.reserve = decode_item::<TreasuryAccount>(key, item)?.balance();
            } else {
                let amount = row(key, item)?;
                reading.outstanding = reading.outstanding.saturating_add(amount);
            }
        }
        Ok(reading)
    }
}

/// A reading and the rows that it was calculated from. A decision based on it commits only if the rows are unchanged.
///
/// Without that check, a handler that is slow between reading and writing could open an episode that has ended, or
/// close one that continues, after all handlers that saw the newer rows had found nothing to do.
#[derive(Debug, Clone, PartialEq)]
pub struct Snapshot {
    /// The figures.
    pub reading: Reading,
    rows: Vec<(Key, Condition)>,
}

impl Snapshot {
    /// Reads all rows and the reserve, consistently, in one call.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn of(outbox: &Outbox, table: &Table) -> Result<Self, Error> {
        let mut keys: Vec<Key> = (0..SHARDS).map(|shard| key(table, shard)).collect();
        keys.push(TreasuryAccount::key(table, RESERVE));
        let items = outbox.store().get_many(&keys).await?;
        let seen = |(key, item): (&Key, &Option<Item>)| {
            // The reserve is compared by its version. A shard is compared by its amount: shards have no version,
            // because they are updated by unconditional adds.
            let attribute = |name| {
                item.as_ref()
                    .and_then(|item| item.get(name))
                    .map(|value| (name, value.clone()))
            };
            let held = attribute("version").or_else(|| attribute(OUTSTANDING));
            (
                key.clone(),
                held.map_or(Condition::Absent, |held| Condition::Equals(vec![held])),
            )
        };
        let rows = keys.iter().zip(&items).map(seen).collect();
        let reading = Reading::read(keys.iter().zip(items))?;
        Ok(Self { reading, rows })
    }

    /// Makes a transaction commit only if every row is unchanged since it was read.
    pub fn hold(&self, transaction: &mut Transaction) {
        for (key, condition) in &self.rows {
            transaction.check(key.clone(), condition.clone());
        }
    }
}

#[derive(Deserialize)]
struct TotalRow {
    outstanding: Number,
}

/// The amount in a row of the total, in credits; can be below zero.
///
/// # Errors
/// [`Error::Item`] if the item is not such a row.
pub fn row(key: &Key, item: Item) -> Result<Decimal, Error> {
    let row: TotalRow = decode_item(key, item)?;
    exact(&row.outstanding).ok_or_else(|| Error::Item {
        key: key.to_string(),
        source: serde::de::Error::custom("attribute outstanding is out of range"),
    })
}

// An amount's own type would refuse a row below zero.
fn exact(number: &Number) -> Option<Decimal> {
    if let Some(whole) = number.as_i64() {
        return Some(Decimal::from(whole));
    }
    Decimal::from_str_exact(&number.as_f64()?.to_string()).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use events::{Cause, Registry};
    use outbox::{Decision, Mark, SystemClock, memory::MemoryStore};
    use uuid::Uuid;

    use super::*;

    fn outbox() -> (Outbox, Table) {
        let outbox = Outbox::new(
            Arc::new(MemoryStore::new()),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        (outbox, Table::domain("cloud"))
    }

    async fn add(outbox: &Outbox, number: u64, writes: Vec<(Key, Decimal)>) {
        let mark = Mark::Episode {
            name: "test",
            number,
            phase: "opened",
        };
        let writes = &writes;
        let outcome = outbox
            .execute::<(), (), Error, _, _>(
                &mark,
                &Cause::default(),
                |mut transaction| async move {
                    for (key, amount) in writes {
                        transaction.add(key.clone(), vec![(OUTSTANDING, *amount)]);
                    }
                    Ok(Decision::Commit(transaction, ()))
                },
            )
            .await;
        assert!(matches!(outcome, Ok(outbox::Outcome::Committed { .. })));
    }

    #[tokio::test]
    async fn the_total_is_the_exact_sum_of_rows_that_may_be_below_zero() {
        let (outbox, table) = outbox();
        let empty = Reading::of(&outbox, &table).await.expect("reads");
        assert_eq!(
            (empty.outstanding, empty.reserve),
            (Decimal::ZERO, Usd::ZERO)
        );

        let parts = [
            "0.1",
            "0.2",
            "-0.000001",
            "100",
            "-7",
            "0.700001",
            "3",
            "-0.3",
        ];
        let writes = (0..SHARDS)
            .zip(parts)
            .map(|(shard, text)| (key(&table, shard), text.parse().expect("a decimal")))
            .collect();
        add(&outbox, 1, writes).await;
        let reading = Reading::of(&outbox, &table).await.expect("reads");
        assert_eq!(reading.outstanding, "96.7".parse().expect("a decimal"));
    }

    #[test]
    fn every_event_has_a_row_and_all_rows_are_used() {
        let mut used = [0_u32; SHARDS as usize];
        for _ in 0..1_000 {
            let id = EventId::new(Uuid::now_v7()).expect("version 7");
            used[usize::from(shard_of(id))] += 1;
        }
        assert!(used.iter().all(|count| *count > 50), "{used:?}");
    }
}
