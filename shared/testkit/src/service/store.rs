//! The store in memory answers at once. This wrapper lets every other task run before each call, and fails on request.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, AtomicU32, Ordering},
};

use async_trait::async_trait;
use outbox::{
    CommitError, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Page, Prepared, Query, Scan,
    Store, Table, memory::MemoryStore,
};
use tokio::{sync::Notify, task::yield_now};

/// The store in memory, with a chance for other tasks before each call.
#[derive(Debug, Default)]
pub struct YieldingStore {
    memory: MemoryStore,
    cancelled: AtomicU32,
    loses_answers: AtomicBool,
    loses_last_events: AtomicBool,
    held: Mutex<Option<Hold>>,
}

/// Holds back the result of a query that was already read.
#[derive(Debug, Clone, Default)]
pub struct Hold {
    read: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Hold {
    /// Waits until the query has read its rows.
    pub async fn was_read(&self) {
        self.read.notified().await;
    }

    /// Releases the result of the query.
    pub fn go_on(&self) {
        self.go_on.notify_one();
    }
}

impl YieldingStore {
    /// The store behind this wrapper.
    #[must_use]
    pub fn memory(&self) -> &MemoryStore {
        &self.memory
    }

    /// How many commits were cancelled so far.
    #[must_use]
    pub fn cancelled(&self) -> u32 {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// If `lose` is true, commits are carried out from now on, but their answers are lost and marks cannot be read.
    pub fn lose_answers(&self, lose: bool) {
        self.loses_answers.store(lose, Ordering::SeqCst);
    }

    /// From now on, the last event of every page of the event log is lost.
    pub fn lose_last_events(&self) {
        self.loses_last_events.store(true, Ordering::SeqCst);
    }

    /// Holds back the result of the next query.
    pub fn hold_next_query(&self) -> Hold {
        let hold = Hold::default();
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = Some(hold.clone());
        hold
    }

    fn loses_answers(&self) -> bool {
        self.loses_answers.load(Ordering::SeqCst)
    }
}

fn gone(operation: &'static str) -> Fault {
    Fault::new(FaultKind::Unavailable, operation, "no answer")
}

#[async_trait]
impl Store for YieldingStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        yield_now().await;
        if key.table == Table::marks("marks") && self.loses_answers() {
            return Err(gone("dynamodb GetItem"));
        }
        self.memory.get(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        yield_now().await;
        self.memory.get_many(keys).await
    }

    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        yield_now().await;
        let mut page = self.memory.query(query).await?;
        if self.loses_last_events.load(Ordering::SeqCst) && query.table == Table::events("events") {
            page.items.pop();
        }
        let held = self
            .held
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        if let Some(held) = held {
            held.read.notify_one();
            held.go_on.notified().await;
        }
        Ok(page)
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        yield_now().await;
        self.memory.scan(scan).await
    }

    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        yield_now().await;
        let outcome = self.memory.commit(prepared).await;
        if self.loses_answers() {
            return Err(CommitError::Unknown(gone("dynamodb TransactWriteItems")));
        }
        if matches!(outcome, Err(CommitError::Cancelled(_))) {
            self.cancelled.fetch_add(1, Ordering::SeqCst);
        }
        outcome
    }

    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        yield_now().await;
        self.memory.put_guarded(put).await
    }

    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        yield_now().await;
        self.memory.put_all(table, items).await
    }
}
