//! The one reader of the feed that all connections of a process share.
//!
//! It polls the head while there are clients, and hands rows on behind a point that whoever subscribes is told: up to there a
//! client reads the table, from there on it is handed every row. Neither is a row missed nor handed twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::{Error, Outbox, Table};
use telemetry::metrics::{Counter, Metrics};
use tokio::{sync::broadcast, time::Instant};
use views::feed::{Head, Row, gone_up_to, rows_after};

/// How often the number of clients is told as a metric.
const METRIC_EVERY: Duration = Duration::from_secs(60);

/// How the feed is read, and by how many at once.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Name of the deployment, for metrics.
    pub stage: String,
    /// Between two looks at the head.
    pub poll: Duration,
    /// Rows read at once.
    pub batch: u32,
    /// Rows that a client may be behind before it is cut off.
    pub buffer: usize,
    /// Connections of the process.
    pub most: usize,
    /// Connections of one API key.
    pub most_of_key: usize,
}

#[derive(Default)]
struct State {
    /// Up to where rows were handed on; `None` while nobody reads.
    position: Option<u64>,
    /// Counts readers: one that is not the last ends, whatever it slept through. Lambda freezes a process between invocations.
    reader: u64,
    clients: usize,
    of_keys: HashMap<String, usize>,
}

struct Inner {
    outbox: Outbox,
    table: Table,
    settings: Settings,
    state: Mutex<State>,
    rows: broadcast::Sender<Arc<Row>>,
    /// One reader at a time is started.
    starting: tokio::sync::Mutex<()>,
}

/// The shared reader.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

impl std::fmt::Debug for Hub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hub")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

/// There are as many connections as there may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// Of the process.
    All,
    /// Of the API key.
    OfKey,
}

/// A client's place among the connections; given back when dropped.
pub struct Seat {
    hub: Hub,
    key_id: String,
}

impl Seat {
    /// The API key that counts for it.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.key_id
    }
}

impl std::fmt::Debug for Seat {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Seat")
            .field("key_id", &self.key_id)
            .finish_non_exhaustive()
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let mut state = self.hub.state();
        state.clients = state.clients.saturating_sub(1);
        if state.clients == 0 {
            state.position = None;
            state.reader += 1;
        }
        if let Some(count) = state.of_keys.get_mut(&self.key_id) {
            *count = count.saturating_sub(1);
            if *count == 0 {
                state.of_keys.remove(&self.key_id);
            }
        }
    }
}

/// What is handed on to a client.
#[derive(Debug)]
pub struct Subscription {
    /// Every row behind `live_from`.
    pub rows: broadcast::Receiver<Arc<Row>>,
    /// Up to here the table has everything.
    pub live_from: u64,
}

impl Hub {
    /// Over the feed's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, settings: Settings) -> Self {
        let (rows, _) = broadcast::channel(settings.buffer.max(1));
        Self(Arc::new(Inner {
            outbox,
            table,
            settings,
            state: Mutex::default(),
            rows,
            starting: tokio::sync::Mutex::default(),
        }))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many clients there are.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.state().clients
    }

    /// A place for one more client.
    ///
    /// # Errors
    /// [`Full`].
    pub fn seat(&self, key_id: &str) -> Result<Seat, Full> {
        let mut state = self.state();
        if state.clients >= self.0.settings.most {
            return Err(Full::All);
        }
        let of_key = state.of_keys.get(key_id).copied().unwrap_or_default();
        if of_key >= self.0.settings.most_of_key {
            return Err(Full::OfKey);
        }
        state.clients += 1;
        state.of_keys.insert(key_id.to_owned(), of_key + 1);
        drop(state);
        Ok(Seat {
            hub: self.clone(),
            key_id: key_id.to_owned(),
        })
    }

    /// Subscribes whoever has a seat; begins to read the feed where nobody does.
    ///
    /// # Errors
    /// When the head cannot be read.
    pub async fn subscribe(&self, _seat: &Seat) -> Result<Subscription, Error> {
        let _one = self.0.starting.lock().await;
        if let Some(subscription) = self.subscribed() {
            return Ok(subscription);
        }
        let head = self.head().await?;
        let rows = self.0.rows.subscribe();
        let reader = {
            let mut state = self.state();
            state.position = Some(head);
            state.reader += 1;
            state.reader
        };
        tokio::spawn(self.clone().read_on(reader));
        Ok(Subscription {
            rows,
            live_from: head,
        })
    }

    fn subscribed(&self) -> Option<Subscription> {
        // Under the lock that the reader holds while it hands a row on: the point is exact.
        let state = self.state();
        let live_from = state.position?;
        Some(Subscription {
            rows: self.0.rows.subscribe(),
            live_from,
        })
    }

    /// The last position that was given.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn head(&self) -> Result<u64, Error> {
        let head = Head::read(&self.0.outbox, &self.0.table).await?;
        Ok(head.map_or(0, |head| head.position))
    }

    /// Rows behind a position up to another one, without a gap; none where the next one is gone.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn rows(&self, position: u64, to: u64) -> Result<Vec<Row>, Error> {
        let inner = &self.0;
        rows_after(
            &inner.outbox,
            &inner.table,
            position,
            to,
            inner.settings.batch,
        )
        .await
    }

    /// The last position of the gap that begins behind one whose next row is gone.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub async fn gone_up_to(&self, position: u64, to: u64) -> Result<u64, Error> {
        let inner = &self.0;
        let now = inner.outbox.clock().now();
        gone_up_to(&inner.outbox, &inner.table, position, to, now).await
    }

    async fn read_on(self, reader: u64) {
        let mut told = Instant::now();
        loop {
            tokio::time::sleep(self.0.settings.poll).await;
            if self.state().reader != reader {
                return;
            }
            if told.elapsed() >= METRIC_EVERY {
                told = Instant::now();
                self.tell();
            }
            if let Err(error) = self.look(reader).await {
                // The next look asks again; clients only wait.
                tracing::warn!(error = outbox::chain(&error), "the feed cannot be read");
            }
        }
    }

    fn tell(&self) {
        let clients = u64::try_from(self.clients()).unwrap_or(u64::MAX);
        Metrics::for_consumer(self.0.settings.stage.as_str(), "event-stream")
            .count(Counter::StreamClients, clients)
            .flush();
    }

    /// Hands on what is new.
    async fn look(&self, reader: u64) -> Result<(), Error> {
        let Some(mut position) = self.state().position else {
            return Ok(());
        };
        let head = self.head().await?;
        while position < head {
            let rows = self.rows(position, head).await?;
            if rows.is_empty() {
                // Nobody is handed what is gone; each client is told of its gap.
                tracing::error!(from = position + 1, to = head, "rows of the feed are gone");
                self.move_to(reader, head);
                return Ok(());
            }
            for row in rows {
                position = row.position;
                let mut state = self.state();
                if state.reader != reader {
                    return Ok(());
                }
                state.position = Some(position);
                // Where nobody listens, whoever comes next is told the point.
                self.0.rows.send(Arc::new(row)).ok();
            }
            // So that clients that keep up can take what was handed on before more comes.
            tokio::task::yield_now().await;
        }
        Ok(())
    }

    fn move_to(&self, reader: u64, position: u64) {
        let mut state = self.state();
        if state.reader == reader {
            state.position = Some(position);
        }
    }
}
