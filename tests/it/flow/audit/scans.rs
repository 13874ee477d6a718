//! An audit of everything reads tables by scans, which return rows in no order. The audit must report the same for
//! every order.

use std::{collections::BTreeMap, sync::Arc};

use async_trait::async_trait;
use events::contracts;
use millrace::audit::{Counts, Finding, Options};
use outbox::{
    CommitError, Fault, Guarded, GuardedPut, Item, Page, Prepared, Query, Scan, Store,
    memory::ScanOrder,
};

use super::{
    Key, MemoryStore, Stand, Table, cloud_table, events_table, feed_table, json, member_table, now,
    settlement::stand,
};

/// Text: the order in which the local AWS returns an aggregate's rows. No known service returns the other orders, but
/// they are allowed.
const ORDERS: [ScanOrder; 5] = [
    ScanOrder::Keys,
    ScanOrder::Text,
    ScanOrder::Shuffled(1),
    ScanOrder::Shuffled(2),
    ScanOrder::Shuffled(3),
];

impl Stand {
    /// The same rows in a store that scans in another order.
    fn scanned(&self, order: ScanOrder) -> Self {
        let store = Arc::new(MemoryStore::scanning(order));
        for table in super::tables() {
            let items = self.store.items(&table);
            now(store.put_all(&table, &items)).expect("copied");
        }
        Self {
            store,
            queues: self.queues.clone(),
            log: self.log.clone(),
            now: self.now,
        }
    }

    /// The keys of a table, as a scan in small pages returns them.
    fn scan(&self, table: &Table) -> Vec<(String, String)> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let scan = Scan {
                table: table.clone(),
                without: None,
                limit: 7,
                after,
            };
            let page = now(self.store.scan(&scan)).expect("answers");
            let sort = table.sort().expect("a sort key");
            let key = |item: &Item| {
                let pk = item[table.partition()].as_str().expect("a key");
                (pk.to_owned(), item[sort].to_string())
            };
            keys.extend(page.items.iter().map(key));
            after = page.next;
            if after.is_none() {
                return keys;
            }
        }
    }

    /// What an audit finds and counts. It must be the same in each order.
    fn in_every_order(&self) -> (Vec<Finding>, Counts) {
        let mut same = None;
        for order in ORDERS {
            let report = self.scanned(order).settled();
            let found = (report.findings, report.counts, report.domains);
            match &same {
                None => same = Some(found),
                Some(same) => assert_eq!(*same, found, "{order:?}"),
            }
        }
        let (findings, counts, _) = same.expect("at least one order");
        (findings, counts)
    }
}

#[test]
fn what_is_sound_is_clean_in_every_order_of_its_rows() {
    for stand in [stand(), Stand::quiet(7)] {
        let (findings, counts) = stand.in_every_order();
        assert_eq!(findings, []);
        assert!(counts.events > 80, "{counts:?}");
    }
}

#[test]
fn a_reader_that_believes_in_the_order_of_a_scan_would_have_told_of_gaps() {
    let stand = stand();
    let gaps = |order| {
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        let rows = stand.scanned(order).scan(&events_table());
        let is_gap = |(aggregate, sequence): (String, String)| {
            let number = sequence.parse::<u64>().expect("a number");
            let last = last.entry(aggregate).or_default();
            let is_gap = number > *last + 1;
            *last = number.max(*last);
            is_gap
        };
        rows.into_iter()
            .map(is_gap)
            .filter(|is_gap| *is_gap)
            .count()
    };
    assert_eq!(gaps(ScanOrder::Keys), 0);
    for order in &ORDERS[1..] {
        assert!(
            gaps(*order) > 0,
            "{order:?} shows no gap, so it proves nothing"
        );
    }
    // The items of a partition are not together either, unless the order is by key.
    for table in [cloud_table(), member_table(), feed_table()] {
        let rows = stand.scanned(ScanOrder::Shuffled(1)).scan(&table);
        let partitions: Vec<String> = rows.into_iter().map(|(pk, _)| pk).collect();
        let mut together = partitions.clone();
        together.dedup();
        let mut distinct = partitions.clone();
        distinct.sort();
        distinct.dedup();
        assert!(
            distinct.len() == partitions.len() || together.len() > distinct.len(),
            "{}",
            table.name()
        );
    }
}

#[test]
fn what_is_damaged_is_named_alike_in_every_order() {
    let damage: [fn(&mut Stand); 6] = [
        |stand| {
            let event = stand.event::<contracts::treasury::AccountChanged>();
            let before = event.sequence.number() - 1;
            let key: Key = events_table().numbered_key(event.aggregate(), before);
            stand.store.remove(&key);
        },
        |stand| {
            let event = stand.event::<contracts::cloud::Burned>();
            stand.retell(&event, |payload| payload["version"] = json!(1));
        },
        |stand| {
            let event = stand.event::<contracts::treasury::AccountChanged>();
            stand.change(&Stand::row(&event), |item| {
                item.insert("envelope".into(), json!("torn"));
            });
        },
        |stand| {
            let event = stand.event::<contracts::treasury::AccountChanged>();
            let next = event.sequence.number() + 1;
            let mut row = stand.item(&Stand::row(&event));
            let text = row["envelope"].as_str().expect("text");
            let mut envelope: super::Value = serde_json::from_str(text).expect("JSON");
            envelope["sequence"] = json!(next);
            row.insert("sequence".into(), json!(next));
            row.insert("envelope".into(), json!(envelope.to_string()));
            stand.put(&events_table(), row);
        },
        |stand| {
            let event = stand.event::<contracts::cloud::Minted>();
            stand.change(&Stand::state(&cloud_table(), &event), |item| {
                super::add(item, "balance", &json!(0.123_457));
            });
        },
        |stand| {
            // The same fact once more, in another event.
            let is_charge = |event: &&super::Envelope| {
                event.idempotency_key.is_some() && event.event_type.as_str() == "cloud.minted"
            };
            let mut events = stand.log.iter();
            let event = events.find(is_charge).expect("a charge").clone();
            let of_account = |one: &&super::Envelope| one.aggregate() == event.aggregate();
            let next = 1 + stand.log.iter().filter(of_account).count();
            let mut row = stand.item(&Stand::row(&event));
            let nobodys = "00000000-0000-7000-8000-000000000009";
            let text = row["envelope"].as_str().expect("text");
            let mut envelope: super::Value = serde_json::from_str(text).expect("JSON");
            envelope["sequence"] = json!(next);
            envelope["event_id"] = json!(nobodys);
            row.insert("event_id".into(), json!(nobodys));
            row.insert("sequence".into(), json!(next));
            row.insert("envelope".into(), json!(envelope.to_string()));
            stand.put(&events_table(), row);
        },
    ];
    for (number, plant) in damage.into_iter().enumerate() {
        let mut stand = Stand::quiet(7);
        plant(&mut stand);
        let (findings, _) = stand.in_every_order();
        assert!(!findings.is_empty(), "damage {number} was not found");
    }
}

/// A store that commits some events after the scan has passed their places.
struct Passed {
    store: Arc<MemoryStore>,
    aggregate: String,
    sequences: std::ops::RangeInclusive<u64>,
}

#[async_trait]
impl Store for Passed {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.store.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.store.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.store.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        let mut page = self.store.scan(scan).await?;
        // Only the event log: rows of other tables also have an aggregate and a sequence.
        if scan.table != Table::events("events") {
            return Ok(page);
        }
        page.items.retain(|item| {
            let sequence = item.get("sequence").and_then(super::Value::as_u64);
            let is_passed = sequence.is_some_and(|number| self.sequences.contains(&number));
            item.get("aggregate") != Some(&json!(self.aggregate)) || !is_passed
        });
        Ok(page)
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.store.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.store.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.store.put_all(table, items).await
    }
}

#[test]
fn events_that_were_committed_while_the_scan_was_past_their_places_are_read_and_no_gap() {
    let stand = Stand::quiet(7);
    let whole = stand.settled();
    let last = stand.event::<contracts::treasury::AccountChanged>();
    let end = last.sequence.number();
    assert!(end > 3);
    for sequences in [end - 1..=end - 1, 1..=end - 1, 2..=3] {
        let store = Arc::new(Passed {
            store: stand.store.clone(),
            aggregate: last.aggregate(),
            sequences,
        });
        let options = Options {
            settled: true,
            ..Options::default()
        };
        let report = stand.audit_of(store, &options);
        assert!(report.clean, "{report}");
        assert_eq!(
            (report.counts.events, report.counts.handled),
            (whole.counts.events, whole.counts.handled)
        );
    }
}
