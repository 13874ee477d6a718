//! A store and a bus in memory, for tests and `testkit::Flow`. They follow the rules of the ports without a network.
//!
//! One lock makes every call atomic. All data is in sorted maps, so the same calls give the same answers in every run.
//! A scan returns items in an order that is useless to a reader ([`ScanOrder`]), because DynamoDB promises no order.

use std::{
    collections::{BTreeMap, HashSet},
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    BusEntry, CommitError, Condition, Cursor, EntryFault, Fault, FaultKind, Guarded, GuardedPut,
    Item, Key, MAX_TRANSACTION_ITEMS, Page, Prepared, Publisher, Query, Reason, Scan, SortKey,
    Store, Table, Write,
    number::{decimal_of, number_of, same},
    relay::{MAX_CALL_BYTES, MAX_ENTRIES},
    store::attribute,
};

type Place = (String, Option<SortKey>);

#[derive(Debug, Default)]
struct State {
    tables: BTreeMap<String, BTreeMap<Place, Item>>,
    /// The writes of each commit, by its token.
    tokens: BTreeMap<String, Vec<Write>>,
    /// Inserted rows of event logs that were not taken yet, by table.
    streams: BTreeMap<String, Vec<Item>>,
}

/// The order in which scans of a [`MemoryStore`] return a table's items. DynamoDB promises no order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanOrder {
    /// By a hash of seed and key. The items of a partition are neither together nor in order, but every run gives the
    /// same order.
    Shuffled(u64),
    /// By partition key, then by the sort key as text: 1, 10, 11, …, 2. Some local AWS emulators return an aggregate's
    /// rows like this.
    Text,
    /// By partition key, then by sort key: the order that a faulty reader assumes.
    Keys,
}

impl Default for ScanOrder {
    fn default() -> Self {
        Self::Shuffled(0)
    }
}

impl ScanOrder {
    /// The value by which a place is sorted.
    fn standing(self, place: &Place) -> (u64, Option<(String, String)>, Place) {
        let hash = match self {
            Self::Shuffled(seed) => {
                let mut hasher = DefaultHasher::new();
                (seed, place).hash(&mut hasher);
                hasher.finish()
            }
            Self::Text | Self::Keys => 0,
        };
        let text = (self == Self::Text).then(|| {
            let sk = match &place.1 {
                Some(SortKey::Number(number)) => number.to_string(),
                Some(SortKey::Text(text)) => text.clone(),
                None => String::new(),
            };
            (place.0.clone(), sk)
        });
        (hash, text, place.clone())
    }
}

/// A [`Store`] in memory.
#[derive(Debug, Default)]
pub struct MemoryStore {
    state: Mutex<State>,
    scan_order: ScanOrder,
}

impl MemoryStore {
    /// An empty store whose scans are shuffled. A table is created by the first write to it.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store whose scans return items in this order.
    #[must_use]
    pub fn scanning(scan_order: ScanOrder) -> Self {
        Self {
            scan_order,
            ..Self::default()
        }
    }

    /// All items of a table, by key.
    #[must_use]
    pub fn items(&self, table: &Table) -> Vec<Item> {
        self.state()
            .tables
            .get(table.name())
            .map(|items| items.values().cloned().collect())
            .unwrap_or_default()
    }

    /// Takes the rows that were inserted into an event log since the last call, in the order of their commits, as the
    /// stream would deliver them. Later changes of a row (its publication) do not appear, because the relay's event
    /// source mapping filters on INSERT.
    #[must_use]
    pub fn take_stream(&self, events: &Table) -> Vec<Item> {
        self.state()
            .streams
            .remove(events.name())
            .unwrap_or_default()
    }

    /// Removes an item, as TTL or an operator would.
    pub fn remove(&self, key: &Key) {
        if let Some(items) = self.state().tables.get_mut(key.table.name()) {
            items.remove(&place(key));
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Every call checks first and writes afterwards, and cannot panic in between. So the data under a poisoned lock
        // is consistent.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn item(&self, key: &Key) -> Option<&Item> {
        self.tables.get(key.table.name())?.get(&place(key))
    }

    fn put(&mut self, key: &Key, item: Item) {
        let name = key.table.name();
        let items = self.tables.entry(name.to_owned()).or_default();
        let is_event_log = key.table == Table::events(name);
        if items.insert(place(key), item.clone()).is_none() && is_event_log {
            self.streams.entry(name.to_owned()).or_default().push(item);
        }
    }

    fn holds(&self, key: &Key, condition: &Condition) -> bool {
        let item = self.item(key);
        match condition {
            Condition::Absent => item.is_none(),
            Condition::Present => item.is_some(),
            Condition::Equals(attributes) => item.is_some_and(|item| {
                attributes
                    .iter()
                    .all(|(name, value)| item.get(*name).is_some_and(|found| same(found, value)))
            }),
            Condition::OlderThan(version) => item.is_none_or(|item| {
                number(item, attribute::VERSION)
                    .is_some_and(|stored| stored < Decimal::from(*version))
            }),
        }
    }

    /// The reason why this write cannot happen.
    fn reason(&self, write: &Write) -> Reason {
        match write {
            Write::Put { key, condition, .. }
            | Write::Check { key, condition }
            | Write::Delete { key, condition } => {
                if self.holds(key, condition) {
                    Reason::None
                } else {
                    Reason::ConditionFailed
                }
            }
            Write::Add { key, amounts } => match self.added(key, amounts) {
                Ok(_) => Reason::None,
                Err(reason) => Reason::Other(reason),
            },
        }
    }

    fn added(&self, key: &Key, amounts: &[(&'static str, Decimal)]) -> Result<Item, String> {
        let mut item = self.item(key).cloned().unwrap_or_else(|| key.attributes());
        for (name, amount) in amounts {
            let before = match item.get(*name) {
                None => Decimal::ZERO,
                Some(Value::Number(number)) => {
                    decimal_of(number).ok_or(format!("ValidationError: {name} is out of range"))?
                }
                Some(_) => return Err(format!("ValidationError: {name} is not a number")),
            };
            // DynamoDB holds 38 digits. This store already refuses a sum that JSON cannot carry exactly.
            let after = before
                .checked_add(*amount)
                .and_then(number_of)
                .ok_or(format!("ValidationError: {name} is out of range"))?;
            item.insert((*name).to_owned(), Value::Number(after));
        }
        Ok(item)
    }

    fn apply(&mut self, write: &Write) {
        match write {
            Write::Put { key, item, .. } => self.put(key, item.clone()),
            Write::Add { key, amounts } => {
                if let Ok(item) = self.added(key, amounts) {
                    self.put(key, item);
                }
            }
            Write::Check { .. } => {}
            Write::Delete { key, .. } => {
                if let Some(items) = self.tables.get_mut(key.table.name()) {
                    items.remove(&place(key));
                }
            }
        }
    }
}

fn place(key: &Key) -> Place {
    (key.pk.clone(), key.sk.clone())
}

fn number(item: &Item, name: &str) -> Option<Decimal> {
    match item.get(name) {
        Some(Value::Number(number)) => decimal_of(number),
        _ => None,
    }
}

fn rejected(operation: &'static str, why: impl Into<String>) -> Fault {
    Fault::new(FaultKind::Rejected, operation, why.into())
}

/// Checks what DynamoDB rejects before it reads any item.
fn check(prepared: &Prepared) -> Result<(), String> {
    if prepared.writes.is_empty() || prepared.writes.len() > MAX_TRANSACTION_ITEMS {
        return Err(format!("{} items", prepared.writes.len()));
    }
    let mut keys = HashSet::new();
    for write in &prepared.writes {
        let key = write.key();
        if !key.is_sound() {
            return Err(format!("{key} is not a valid key of its table"));
        }
        if !keys.insert(key) {
            return Err(format!("{key} is written twice"));
        }
        if let Write::Put { item, .. } = write
            && Key::of(&key.table, item).as_ref() != Some(key)
        {
            return Err(format!("the item of {key} has another key"));
        }
    }
    Ok(())
}

#[async_trait]
impl Store for MemoryStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        if !key.is_sound() {
            return Err(rejected(
                "memory get",
                format!("{key} is not a valid key of its table"),
            ));
        }
        Ok(self.state().item(key).cloned())
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        let state = self.state();
        keys.iter()
            .map(|key| {
                if key.is_sound() {
                    Ok(state.item(key).cloned())
                } else {
                    Err(rejected(
                        "memory get",
                        format!("{key} is not a valid key of its table"),
                    ))
                }
            })
            .collect()
    }

    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        let (partition, sort) = match query.index {
            Some(index) => (index.partition, Some(index.sort)),
            None => (query.table.partition(), query.table.sort()),
        };
        // An item's place in the requested order: its sort key, then its own key to distinguish items with equal sort
        // keys.
        let standing = |item: &Item| -> Option<(Option<SortKey>, Option<Key>)> {
            if item.get(partition)?.as_str()? != query.pk {
                return None;
            }
            let sort_key = match sort {
                Some(name) => Some(SortKey::from_value(item.get(name)?)?),
                None => None,
            };
            Some((sort_key, Key::of(&query.table, item)))
        };
        let after = match &query.after {
            None => None,
            Some(Cursor(item)) => Some(standing(item).ok_or_else(|| {
                rejected("memory query", "the cursor belongs to another partition")
            })?),
        };
        let mut found: Vec<_> = self
            .state()
            .tables
            .get(query.table.name())
            .into_iter()
            .flat_map(BTreeMap::values)
            .filter_map(|item| Some((standing(item)?, item.clone())))
            .filter(|((sort_key, _), _)| match (&query.from, sort_key) {
                (None, _) => true,
                (Some(from), Some(key)) if query.descending => key <= from,
                (Some(from), Some(key)) => key >= from,
                (Some(_), None) => false,
            })
            .filter(|((sort_key, _), _)| match (&query.prefix, sort_key) {
                (None, _) => true,
                (Some(prefix), Some(SortKey::Text(text))) => text.starts_with(prefix),
                (Some(_), _) => false,
            })
            .filter(|(standing, _)| match &after {
                None => true,
                Some(after) if query.descending => standing < after,
                Some(after) => standing > after,
            })
            .collect();
        found.sort_by(|(one, _), (two, _)| one.cmp(two));
        if query.descending {
            found.reverse();
        }
        let limit = usize::try_from(query.limit.max(1)).unwrap_or(usize::MAX);
        let more = found.len() > limit;
        let items: Vec<Item> = found
            .into_iter()
            .take(limit)
            .map(|(_, item)| item)
            .collect();
        let next = items
            .last()
            .filter(|_| more)
            .map(|item| Cursor::at(&query.table, query.index, item));
        Ok(Page { items, next })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        let after = match &scan.after {
            None => None,
            Some(Cursor(item)) => {
                let key = Key::of(&scan.table, item).ok_or_else(|| {
                    rejected("memory scan", "the cursor belongs to another table")
                })?;
                Some(self.scan_order.standing(&place(&key)))
            }
        };
        let limit = usize::try_from(scan.limit.max(1)).unwrap_or(usize::MAX);
        let state = self.state();
        let mut rest: Vec<_> = state
            .tables
            .get(scan.table.name())
            .into_iter()
            .flatten()
            .map(|(place, item)| (self.scan_order.standing(place), item))
            .filter(|(standing, _)| after.as_ref().is_none_or(|after| standing > after))
            .collect();
        rest.sort_by(|(one, _), (other, _)| one.cmp(other));
        let more = rest.len() > limit;
        rest.truncate(limit);
        let next = rest
            .last()
            .filter(|_| more)
            .map(|(_, last)| Cursor::at(&scan.table, None, last));
        let items = rest
            .into_iter()
            .map(|(_, item)| item)
            .filter(|item| scan.without.is_none_or(|name| !item.contains_key(name)))
            .cloned()
            .collect();
        Ok(Page { items, next })
    }

    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        const OPERATION: &str = "memory commit";
        check(prepared).map_err(|why| CommitError::NotWritten(rejected(OPERATION, why)))?;
        let mut state = self.state();
        match state.tokens.get(&prepared.token) {
            Some(writes) if *writes == prepared.writes => return Ok(()),
            Some(_) => {
                let why = "the token was used for other writes";
                return Err(CommitError::NotWritten(rejected(OPERATION, why)));
            }
            None => {}
        }
        let reasons: Vec<Reason> = prepared
            .writes
            .iter()
            .map(|write| state.reason(write))
            .collect();
        if reasons.iter().any(|reason| *reason != Reason::None) {
            return Err(CommitError::Cancelled(reasons));
        }
        for write in &prepared.writes {
            state.apply(write);
        }
        state
            .tokens
            .insert(prepared.token.clone(), prepared.writes.clone());
        Ok(())
    }

    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        if Key::of(&put.key.table, &put.item).as_ref() != Some(&put.key) {
            let why = format!("the item of {} has another key", put.key);
            return Err(rejected("memory guarded put", why));
        }
        let mut state = self.state();
        if !state.holds(&put.key, &Condition::OlderThan(put.version)) {
            return Ok(Guarded::Ignored);
        }
        let mut item = put.item.clone();
        item.insert(attribute::VERSION.to_owned(), Value::from(put.version));
        state.put(&put.key, item);
        Ok(Guarded::Applied)
    }

    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        let mut state = self.state();
        for item in items {
            let key = Key::of(table, item)
                .ok_or_else(|| rejected("memory put all", "an item lacks its key"))?;
            state.put(&key, item.clone());
        }
        Ok(())
    }
}

/// A [`Publisher`] in memory. It accepts every entry and keeps the entries in order.
#[derive(Debug, Default)]
pub struct MemoryBus {
    entries: Mutex<Vec<BusEntry>>,
}

impl MemoryBus {
    /// An empty bus.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The entries that were published and not taken yet, in order.
    #[must_use]
    pub fn entries(&self) -> Vec<BusEntry> {
        self.lock().clone()
    }

    /// Takes the entries that were published since the last call, in order.
    #[must_use]
    pub fn take(&self) -> Vec<BusEntry> {
        std::mem::take(&mut *self.lock())
    }

    fn lock(&self) -> MutexGuard<'_, Vec<BusEntry>> {
        // Entries are only appended, so the data under a poisoned lock is consistent.
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Publisher for MemoryBus {
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        let bytes: usize = entries.iter().map(BusEntry::bytes).sum();
        if entries.is_empty() || entries.len() > MAX_ENTRIES || bytes > MAX_CALL_BYTES {
            let why = format!("{} entries of {bytes} bytes in one call", entries.len());
            return Err(rejected("memory publish", why));
        }
        self.lock().extend_from_slice(entries);
        Ok(vec![Ok(()); entries.len()])
    }
}
