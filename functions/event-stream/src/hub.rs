//! The hub: one reader of the feed, shared by all connections of a process.
//!
//! While there are clients, the reader polls the feed's head and sends every new row to all of them. A new subscriber
//! gets the position at which its live rows start. It reads the rows up to that position from the table itself. So it
//! neither misses a row nor gets one twice.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use outbox::{Error, Outbox, Table};
use telemetry::metrics::{Counter, Metrics};
use tokio::{sync::broadcast, time::Instant};
use views::feed::{FeedRow, Head, gone_up_to, rows_after};

/// How often the number of clients is published as a metric.
const METRIC_EVERY: Duration = Duration::from_secs(60);

/// How the feed is read, and how many connections are allowed.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The stack's name, for metrics.
    pub stack: String,
    /// The interval at which the reader polls the head.
    pub poll: Duration,
    /// The maximum number of rows per read.
    pub batch: u32,
    /// The number of rows that a client can lag behind before it is cut off.
    pub buffer: usize,
    /// The maximum number of connections of the process.
    pub most: usize,
    /// The maximum number of connections of one API key.
    pub most_of_key: usize,
}

#[derive(Default)]
struct State {
    /// The position up to which rows were sent; `None` while no reader runs.
    position: Option<u64>,
    /// The number of the current reader. An older reader stops, however long it was suspended: Lambda freezes a process
    /// between invocations.
    reader: u64,
    clients: usize,
    of_keys: HashMap<String, usize>,
}

struct Inner {
    outbox: Outbox,
    table: Table,
    settings: Settings,
    state: Mutex<State>,
    rows: broadcast::Sender<Arc<FeedRow>>,
    /// Prevents two readers from starting at the same time.
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

/// The maximum number of connections is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Full {
    /// The process's maximum.
    All,
    /// The API key's maximum.
    OfKey,
}

/// A client's place among the connections. Dropping it frees the place.
pub struct Seat {
    hub: Hub,
    key_id: String,
}

impl Seat {
    /// The API key to which the connection counts.
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

/// The live rows of a client.
#[derive(Debug)]
pub struct Subscription {
    /// Every row after `live_from`.
    pub rows: broadcast::Receiver<Arc<FeedRow>>,
    /// The position up to which the client reads the table.
    pub live_from: u64,
}

impl Hub {
    /// Creates the hub over the feed's table.
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

    /// The number of clients.
    #[must_use]
    pub fn clients(&self) -> usize {
        self.state().clients
    }

    /// Reserves a place for one more client.
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

    /// Subscribes a client that has a seat. Starts the reader if none runs.
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
        // The reader holds the same lock while it sends a row, so the position is exact.
        let state = self.state();
        let live_from = state.position?;
        Some(Subscription {
            rows: self.0.rows.subscribe(),
            live_from,
        })
    }

    /// Reads the feed's last position.
    ///
    /// # Errors
    /// When it cannot be read.
    pub async fn head(&self) -> Result<u64, Error> {
        let head = Head::read(&self.0.outbox, &self.0.table).await?;
        Ok(head.map_or(0, |head| head.position))
    }

    /// Reads rows after a position, up to another one, without a gap. Returns none if the next row is gone.
    ///
    /// # Errors
    /// When they cannot be read.
    pub async fn rows(&self, position: u64, to: u64) -> Result<Vec<FeedRow>, Error> {
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

    /// Returns the last position of the gap that starts after `position`.
    ///
    /// # Errors
    /// When rows cannot be read.
    pub async fn gone_up_to(&self, position: u64, to: u64) -> Result<u64, Error> {
        let inner = &self.0;
        let now = inner.outbox.clock().now();
        gone_up_to(&inner.outbox, &inner.table, position, to, now).await
    }

    async fn read_on(self, reader: u64) {
        let mut reported_at = Instant::now();
        loop {
            tokio::time::sleep(self.0.settings.poll).await;
            if self.state().reader != reader {
                return;
            }
            if reported_at.elapsed() >= METRIC_EVERY {
                reported_at = Instant::now();
                self.tell();
            }
            if let Err(error) = self.look(reader).await {
                // The next poll tries again; meanwhile clients only wait.
                tracing::warn!(error = outbox::chain(&error), "the feed cannot be read");
            }
        }
    }

    fn tell(&self) {
        let clients = u64::try_from(self.clients()).unwrap_or(u64::MAX);
        Metrics::for_consumer(self.0.settings.stack.as_str(), "event-stream")
            .count(Counter::StreamClients, clients)
            .flush();
    }

    /// Sends new rows to all clients.
    async fn look(&self, reader: u64) -> Result<(), Error> {
        let Some(mut position) = self.state().position else {
            return Ok(());
        };
        let head = self.head().await?;
        while position < head {
            let rows = self.rows(position, head).await?;
            if rows.is_empty() {
                // Rows that are gone cannot be sent; each connection reports the gap to its client.
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
                // If there is no receiver, the next subscriber starts from the new position.
                self.0.rows.send(Arc::new(row)).ok();
            }
            // Yields, so that clients can take these rows before the next batch arrives.
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
