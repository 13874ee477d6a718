//! The basis of the cost assertions: the shipped outbox, store and runtime on a DynamoDB that counts, and the tables of
//! COSTS.md.
//!
//! A test counts one step at a time and compares it with the row of COSTS.md that states it. So neither the code nor
//! the document can change without the other.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    convert::Infallible,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws::{DynamoStore, SqsQueue};
use aws_config::SdkConfig;
use bytes::Bytes;
use consumer::{
    BatchRunner, Handler, Lane, Message, Outcome, Settings,
    schedule::{self, Ending, Job, Report},
};
use events::Registry;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Body};
use outbox::{
    Clock as _, CommitError, Fault, Guarded, GuardedPut, Item, Key, Outbox, Page, Prepared, Query,
    Scan, Store, SystemClock, Table, encode_item,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use tower::{Service, ServiceExt as _};
use uuid::Uuid;

use crate::dynamo_stub::{Counts, DynamoStub};

const COSTS: &str = include_str!("../../../COSTS.md");

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim_matches('|').split('|');
    inner.map(|cell| cell.trim().to_owned()).collect()
}

/// The rows of the table in COSTS.md whose header begins with this cell: from a row's first cell to its other cells.
///
/// # Panics
/// When there is no such table.
#[must_use]
pub fn table(head: &str) -> BTreeMap<String, Vec<String>> {
    let rows: BTreeMap<String, Vec<String>> = COSTS
        .lines()
        .skip_while(|line| cells(line).first().is_none_or(|first| first != head))
        .skip(2)
        .take_while(|line| line.starts_with('|'))
        .map(|line| {
            let mut row = cells(line);
            (row.remove(0), row)
        })
        .collect();
    assert!(!rows.is_empty(), "COSTS.md has no table {head}");
    rows
}

/// The number in a cell.
///
/// # Panics
/// When the cell is not a number.
#[must_use]
pub fn decimal(cell: &str) -> Decimal {
    let number: Result<Decimal, _> = cell.parse();
    number
        .unwrap_or_else(|_| panic!("{cell} is not a number"))
        .normalize()
}

/// The numbers in a table's rows.
///
/// # Panics
/// When there is no such table, or a cell is not a number.
#[must_use]
pub fn numbers(head: &str) -> BTreeMap<String, Vec<Decimal>> {
    let rows = table(head).into_iter();
    rows.map(|(name, cells)| (name, cells.iter().map(|cell| decimal(cell)).collect()))
        .collect()
}

/// The numbers of the only row of COSTS.md whose first cell is this.
///
/// # Panics
/// When there is no such row, or more than one.
#[must_use]
pub fn stated(step: &str) -> Vec<Decimal> {
    let mut rows = COSTS
        .lines()
        .map(cells)
        .filter(|row| row.first().is_some_and(|first| first == step));
    let (Some(row), None) = (rows.next(), rows.next()) else {
        panic!("COSTS.md does not have exactly one row {step}");
    };
    row.iter().skip(1).map(|cell| decimal(cell)).collect()
}

/// The numbers of a table's rows whose name begins with this function's name, by the step that follows it.
///
/// # Panics
/// When there is no such table, or a cell is not a whole number.
#[must_use]
pub fn steps(head: &str, function: &str) -> BTreeMap<String, Vec<u64>> {
    let whole = |cell: &String| cell.parse().expect("a whole number");
    let rows = table(head).into_iter().filter_map(|(name, cells)| {
        let step = name.strip_prefix(&format!("`{function}`: "))?.to_owned();
        Some((step, cells.iter().map(whole).collect()))
    });
    rows.collect()
}

/// Write units, read units and calls.
#[must_use]
pub fn counted(counts: &Counts) -> Vec<Decimal> {
    [counts.write_units, counts.read_units, counts.all_calls()]
        .map(Decimal::from)
        .to_vec()
}

/// The shipped outbox and store on a DynamoDB that counts. It has an event log, marks and the given tables.
pub struct Site {
    stub: DynamoStub,
    sdk: SdkConfig,
    store: Arc<DynamoStore>,
    outbox: Outbox,
}

impl std::fmt::Debug for Site {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Site")
            .field("stub", &self.stub)
            .finish_non_exhaustive()
    }
}

impl Site {
    /// Starts the DynamoDB.
    ///
    /// # Panics
    /// When no port is available.
    pub async fn start(tables: &[Table]) -> Self {
        let mut site = Self::without_log(tables).await;
        site.outbox = Outbox::new(
            Arc::<DynamoStore>::clone(&site.store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        site
    }

    /// Starts the DynamoDB, with an outbox that has no event log.
    ///
    /// # Panics
    /// When no port is available.
    pub async fn without_log(tables: &[Table]) -> Self {
        let (events, marks) = (Table::events("events"), Table::marks("marks"));
        let all = tables.iter().chain([&events, &marks]);
        let stub = DynamoStub::start(all, Duration::ZERO, None).expect("a port");
        let sdk = stub.sdk().await;
        let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
        let outbox = Outbox::without_log(
            Arc::<DynamoStore>::clone(&store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            marks,
        );
        Self {
            stub,
            sdk,
            store,
            outbox,
        }
    }

    /// The DynamoDB that counts.
    #[must_use]
    pub fn stub(&self) -> &DynamoStub {
        &self.stub
    }

    /// The store on this DynamoDB.
    #[must_use]
    pub fn store(&self) -> Arc<DynamoStore> {
        Arc::clone(&self.store)
    }

    /// The outbox on this DynamoDB.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Writes a row. The write is not counted.
    ///
    /// # Panics
    /// When the row is not an item.
    pub async fn put(&self, key: &Key, row: &Value) {
        let item = encode_item(key, row).expect("an item");
        let put = self.store.put_all(&key.table, &[item]).await;
        put.expect("put");
        drop(self.stub.take_counts());
    }

    /// Puts an event into the event log, for those that read it there. The write is not counted.
    ///
    /// # Panics
    /// When this is not an envelope.
    pub async fn log(&self, envelope: &Value) {
        let text = |name: &str| envelope[name].as_str().expect("text");
        let row = json!({
            "aggregate": format!("{}#{}", text("aggregate_type"), text("aggregate_id")),
            "sequence": envelope["sequence"], "envelope": envelope.to_string(), "event_id": envelope["event_id"],
            "event_type": envelope["event_type"], "committed_at": envelope["occurred_at"],
        });
        let items = [row.as_object().cloned().expect("an object")];
        let events = self.outbox.events_table().expect("a log");
        let put = self.store.put_all(events, &items).await;
        put.expect("put");
        drop(self.stub.take_counts());
    }

    /// The report and the cost of a completed run of a job, over this outbox and with the default settings.
    ///
    /// # Panics
    /// When the run fails or does not complete within a minute.
    pub async fn run<J: Job>(&self, job: J, outbox: &Outbox) -> (Report, Counts) {
        drop(self.stub.take_counts());
        let runner = schedule::JobRunner::new(job, outbox.clone(), schedule::Settings::default());
        let deadline = SystemClock.now().plus(Duration::from_secs(60));
        let report = runner.run(deadline).await.expect("a run");
        assert_eq!(report.outcome, Ending::Finished);
        (report, self.stub.take_counts())
    }
}

/// The answer to a query of an index.
type Answer = Box<dyn Fn(&Query) -> Vec<Item> + Send + Sync>;

/// The store of a [`Site`] in which a test answers the queries of an index, because the counting DynamoDB has none.
pub struct Indexed {
    inner: Arc<DynamoStore>,
    answer: Answer,
    queries: AtomicU64,
}

impl std::fmt::Debug for Indexed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Indexed").finish_non_exhaustive()
    }
}

impl Indexed {
    /// The store of a site, with these answers of its index.
    #[must_use]
    pub fn of(
        site: &Site,
        answer: impl Fn(&Query) -> Vec<Item> + Send + Sync + 'static,
    ) -> Arc<Self> {
        Arc::new(Self {
            inner: site.store(),
            answer: Box::new(answer),
            queries: AtomicU64::default(),
        })
    }

    /// How many queries of the index there were since this was last asked.
    pub fn take_queries(&self) -> u64 {
        self.queries.swap(0, Ordering::Relaxed)
    }
}

#[async_trait]
impl Store for Indexed {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        if query.index.is_none() {
            return self.inner.query(query).await;
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        Ok(Page {
            items: (self.answer)(query),
            next: None,
        })
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.inner.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

/// A consumer on a [`Site`]: the shipped runtime with the default settings.
pub struct Bench<H: Handler> {
    site: Site,
    runner: BatchRunner<H>,
    lane: Lane,
}

impl<H: Handler> std::fmt::Debug for Bench<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bench")
            .field("site", &self.site)
            .finish_non_exhaustive()
    }
}

impl<H: Handler> Bench<H> {
    /// Starts a handler with its table, over an outbox that may read the event log.
    ///
    /// # Panics
    /// When no port is available.
    pub async fn start(own: Table, handler: impl FnOnce(Outbox, Table) -> H) -> Self {
        let site = Site::start(std::slice::from_ref(&own)).await;
        let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&site.sdk)));
        let lane = Lane {
            name: "express",
            queue_arn: "arn".into(),
            queue_url: format!("{}/lane", site.stub.endpoint()),
            dead_letter_queue_url: format!("{}/letters", site.stub.endpoint()),
        };
        let handler = handler(site.outbox.clone(), own);
        Self {
            runner: BatchRunner::new(handler, site.outbox.clone(), queue, Settings::default()),
            lane,
            site,
        }
    }

    /// Puts an event into the event log, for consumers that read it there. The write is not counted.
    ///
    /// # Panics
    /// When this is not an envelope.
    pub async fn log(&self, envelope: &Value) {
        self.site.log(envelope).await;
    }

    /// The cost of a batch of these events.
    ///
    /// # Panics
    /// When one of the events has another outcome.
    pub async fn consume(&self, envelopes: &[Value], outcome: Outcome) -> Counts {
        let now = SystemClock.now();
        let messages = envelopes.iter().enumerate().map(|(at, envelope)| Message {
            message_id: format!("message-{at}"),
            receipt_handle: format!("receipt-{at}"),
            body: envelope.to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
            operation_id: None,
            first_replay: None,
        });
        let deadline = now.plus(Duration::from_secs(30));
        let batch = self.runner.run(&self.lane, messages.collect(), deadline);
        for finished in batch.await.finished {
            assert_eq!(finished.outcome, outcome, "{}", finished.message_id);
        }
        self.site.stub.take_counts()
    }
}

/// The frozen sample of an event type's first version.
///
/// # Panics
/// When there is no sample.
#[must_use]
pub fn sample(event_type: &str) -> Value {
    let (domain, action) = event_type.split_once('.').expect("domain.action");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/samples");
    let of_type = format!("{domain}/{}-v1/full.json", action.replace('_', "-"));
    let text = std::fs::read_to_string(samples.join(of_type)).expect("a sample");
    serde_json::from_str(&text).expect("JSON")
}

/// An envelope as the contract declares it, with this payload and an id of its own: the first event of its aggregate.
///
/// # Panics
/// When there is no contract, or the payload does not name the aggregate.
#[must_use]
pub fn envelope(event_type: &str, payload: &Value) -> Value {
    let registry = Registry::shipped();
    let info = registry.get(event_type, 1).expect("a contract").info();
    let aggregate_id = info.aggregate_id_in(payload).expect("an aggregate");
    let id = Uuid::now_v7();
    json!({
        "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": SystemClock.now(),
        "producer": info.producer, "correlation_id": id, "priority": info.priority,
        "aggregate_type": info.aggregate_type, "aggregate_id": aggregate_id, "sequence": 1, "payload": payload,
    })
}

/// A router on a [`Site`], and its caller: the caller has one API key and sends a new idempotency key with each call.
#[derive(Debug)]
pub struct Calls<S> {
    site: Site,
    router: S,
    key: String,
    calls: u32,
}

impl<S, B> Calls<S>
where
    S: Service<Request<Full<Bytes>>, Response = Response<B>, Error = Infallible> + Clone,
    B: Body<Data: Send, Error: std::fmt::Debug>,
{
    /// The caller of this router, which accepts this API key.
    pub fn new(site: Site, router: S, key: impl Into<String>) -> Self {
        Self {
            site,
            router,
            key: key.into(),
            calls: 0,
        }
    }

    /// The DynamoDB and the outbox under the router.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// The response to a call, and what the call cost.
    ///
    /// # Panics
    /// When the call is refused.
    pub async fn call(&mut self, method: Method, path: &str, body: &Value) -> (Value, Counts) {
        let key = self.key.clone();
        self.call_by(&key, method, path, body).await
    }

    async fn call_by(
        &mut self,
        key: &str,
        method: Method,
        path: &str,
        body: &Value,
    ) -> (Value, Counts) {
        self.calls += 1;
        let path = format!("/api/v1/{path}");
        // Earlier calls belong to somebody else.
        drop(self.site.stub.take_counts());
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("authorization", format!("Bearer {key}"))
            .header("idempotency-key", self.calls.to_string())
            .body(Full::from(body.to_string()))
            .expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status();
        let bytes = response.into_body().collect().await.expect("a body");
        let answer: Value = serde_json::from_slice(&bytes.to_bytes()).expect("JSON");
        assert!(status.is_success(), "{path}: {answer}");
        (answer, self.site.stub.take_counts())
    }

    /// The response to a command, and what the command cost.
    ///
    /// # Panics
    /// When the command is refused.
    pub async fn post(&mut self, path: &str, body: &Value) -> (Value, Counts) {
        self.call(Method::POST, path, body).await
    }

    /// As [`Self::post`], with another API key.
    ///
    /// # Panics
    /// When the command is refused.
    pub async fn post_by(&mut self, key: &str, path: &str, body: &Value) -> (Value, Counts) {
        self.call_by(key, Method::POST, path, body).await
    }

    /// What a read returns, and what it cost.
    ///
    /// # Panics
    /// When the read is refused.
    pub async fn get(&mut self, path: &str) -> (Value, Counts) {
        self.call(Method::GET, path, &Value::Null).await
    }
}
