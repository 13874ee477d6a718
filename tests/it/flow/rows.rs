//! The read model of balances, watched at every write. Under any order of events and any faults, a row never goes back
//! to an older version, and its content for a version is what that version's event states.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use outbox::{
    CommitError, Fault, Guarded, GuardedPut, Item, Key, Page, Prepared, Query, Scan, Store, Table,
};
use proptest::prelude::*;
use serde_json::Value;
use testkit::flow::Faults;

use super::world::{any_faults, run, wallet_orders, wallet_table};

/// What was seen of each row: the newest version, and its balance.
#[derive(Default)]
struct Seen {
    rows: BTreeMap<Key, (u64, Value)>,
    writes: u64,
    wrong: Vec<String>,
}

/// A store that reads a row before and after each write of it.
struct Watching {
    inner: Arc<dyn Store>,
    seen: Arc<Mutex<Seen>>,
    /// Whether rows are put without their version guard, to prove that this check can fail.
    unguarded: bool,
}

impl Watching {
    fn seen(&self) -> std::sync::MutexGuard<'_, Seen> {
        self.seen.lock().expect("never poisoned")
    }

    async fn look(&self, key: &Key) -> Result<(), Fault> {
        // Other tasks write at the same time. This read must see at least what was seen before it began.
        let floor = self.seen().rows.get(key).cloned();
        let Some(item) = self.inner.get(key).await? else {
            if floor.is_some() {
                self.seen().wrong.push(format!("{key} is gone"));
            }
            return Ok(());
        };
        let version = item["version"].as_u64().expect("a version");
        let said = item["balance"].clone();
        let mut seen = self.seen();
        if let Some((before, balance)) = floor
            && (version < before || version == before && said != balance)
        {
            seen.wrong.push(format!(
                "{key} went from {balance} of version {before} to {said} of version {version}"
            ));
        }
        let newest = seen
            .rows
            .get(key)
            .is_none_or(|(newest, _)| version > *newest);
        if newest {
            seen.rows.insert(key.clone(), (version, said));
        }
        Ok(())
    }
}

#[async_trait]
impl Store for Watching {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.inner.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        if put.key.table != wallet_table() {
            return self.inner.put_guarded(put).await;
        }
        self.look(&put.key).await?;
        let answer = if self.unguarded {
            let mut item = put.item.clone();
            item.insert("version".to_owned(), put.version.into());
            self.inner.put_all(&put.key.table, &[item]).await?;
            Guarded::Applied
        } else {
            self.inner.put_guarded(put).await?
        };
        self.look(&put.key).await?;
        self.seen().writes += 1;
        Ok(answer)
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

/// A run in which every write of a row is watched. Returns whether its end was sound, and what was seen.
fn watched(
    seed: u64,
    faults: Faults,
    orders: &[super::world::Order],
    unguarded: bool,
) -> (Result<(), String>, Seen) {
    let seen = Arc::new(Mutex::new(Seen::default()));
    let watch = Arc::clone(&seen);
    let ended = run(seed, faults, orders, |builder| {
        builder.wrap_store(move |inner| {
            Arc::new(Watching {
                inner,
                seen: watch,
                unguarded,
            })
        })
    });
    let seen = std::mem::take(&mut *seen.lock().expect("never poisoned"));
    (ended.map(drop), seen)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_balance_to_read_never_goes_back_under_any_faults(
        seed in any::<u64>(), faults in any_faults(), orders in wallet_orders(1..40),
    ) {
        let (ended, seen) = watched(seed, faults, &orders, false);
        ended.map_err(TestCaseError::fail)?;
        prop_assert_eq!(seen.wrong, Vec::<String>::new());
    }
}

#[test]
fn without_its_guard_a_row_goes_back_and_is_seen_to() {
    let (mut writes, mut back) = (0, 0);
    for seed in 0..12 {
        let orders = super::drawn(seed, wallet_orders(60));
        let (_, seen) = watched(seed, Faults::STORM, &orders, true);
        writes += seen.writes;
        back += seen.wrong.len();
    }
    assert!(writes > 100 && back > 3, "{back} of {writes} writes");
}
