//! A store in memory whose commits and writes fail according to a script.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use outbox::{
    CommitError, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Page, Prepared, Query, Reason,
    Scan, Store, Table, memory::MemoryStore,
};

/// What happens to a commit.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It succeeds.
    Pass,
    /// It takes effect, but the answer is lost.
    DoneButLost,
    /// It takes no effect, and the answer is lost.
    Lost,
    /// Its answer is lost. It takes effect just before the store handles the second commit after it.
    Late,
    /// It is cancelled with these reasons.
    Cancel(Vec<Reason>),
    /// It is not begun.
    NotWritten(FaultKind),
}

pub(crate) struct Faulty {
    pub(crate) inner: Arc<MemoryStore>,
    script: Mutex<VecDeque<Fate>>,
    otherwise: Fate,
    late: Mutex<Option<Prepared>>,
    sent: Mutex<Vec<Prepared>>,
    put_faults: AtomicUsize,
    puts: Mutex<Vec<usize>>,
    gets: AtomicUsize,
}

impl Faulty {
    /// A store over another one. Commits follow the script, and `otherwise` after its end.
    pub(crate) fn new(
        inner: &Arc<MemoryStore>,
        script: impl IntoIterator<Item = Fate>,
        otherwise: Fate,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: Arc::clone(inner),
            script: Mutex::new(script.into_iter().collect()),
            otherwise,
            late: Mutex::default(),
            sent: Mutex::default(),
            put_faults: AtomicUsize::new(0),
            puts: Mutex::default(),
            gets: AtomicUsize::new(0),
        })
    }

    /// Lets the next calls of `put_all` fail, as many as given.
    pub(crate) fn fail_puts(&self, calls: usize) {
        self.put_faults.store(calls, Ordering::SeqCst);
    }

    /// All commits that were sent.
    pub(crate) fn sent(&self) -> Vec<Prepared> {
        self.sent.lock().unwrap().clone()
    }

    /// The number of items that were read one by one.
    pub(crate) fn gets(&self) -> usize {
        self.gets.load(Ordering::SeqCst)
    }

    /// The number of items in each successful call of `put_all`.
    pub(crate) fn puts(&self) -> Vec<usize> {
        self.puts.lock().unwrap().clone()
    }
}

fn lost() -> Fault {
    Fault::new(
        FaultKind::Unavailable,
        "scripted commit",
        "the answer was lost",
    )
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.gets.fetch_add(1, Ordering::SeqCst);
        // Yields, so that other tasks can run before every call.
        tokio::task::yield_now().await;
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        tokio::task::yield_now().await;
        self.inner.get_many(keys).await
    }

    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }

    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        tokio::task::yield_now().await;
        self.sent.lock().unwrap().push(prepared.clone());
        let fate = self
            .script
            .lock()
            .unwrap()
            .pop_front()
            .unwrap_or_else(|| self.otherwise.clone());
        let late = match fate {
            Fate::Pass => self.late.lock().unwrap().take(),
            _ => None,
        };
        if let Some(late) = late {
            self.inner.commit(&late).await?;
        }
        match fate {
            Fate::Pass => self.inner.commit(prepared).await,
            Fate::DoneButLost => {
                self.inner.commit(prepared).await?;
                Err(CommitError::Unknown(lost()))
            }
            Fate::Lost => Err(CommitError::Unknown(lost())),
            Fate::Late => {
                *self.late.lock().unwrap() = Some(prepared.clone());
                Err(CommitError::Unknown(lost()))
            }
            Fate::Cancel(reasons) => Err(CommitError::Cancelled(reasons)),
            Fate::NotWritten(kind) => Err(CommitError::NotWritten(Fault::new(
                kind,
                "scripted commit",
                "scripted",
            ))),
        }
    }

    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }

    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        let failing = self
            .put_faults
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        if failing.is_ok() {
            return Err(Fault::new(
                FaultKind::Unavailable,
                "scripted put",
                "scripted",
            ));
        }
        self.puts.lock().unwrap().push(items.len());
        self.inner.put_all(table, items).await
    }
}
