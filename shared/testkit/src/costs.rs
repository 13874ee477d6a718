//! What an assertion about costs stands on: the shipped outbox, store and runtime on a DynamoDB that counts, and the tables of
//! COSTS.md.
//!
//! A test counts one step at a time and compares it with the row that states it, so that neither changes without the other.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, convert::Infallible, path::Path, sync::Arc, time::Duration};

use aws::{DynamoStore, SqsQueue};
use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use consumer::{
    Handler, Lane, Message, Outcome, Runner, Settings,
    schedule::{self, Ending, Job, Report},
};
use events::Registry;
use http_body_util::{BodyExt as _, Full};
use hyper::{Method, Request, Response, body::Body};
use outbox::{Clock as _, Key, Outbox, Store, SystemClock, Table, encode_item};
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

/// The rows of the table of COSTS.md whose head's first cell is this: first cell to the others.
///
/// # Panics
/// Without such a table.
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

/// A number of a cell.
///
/// # Panics
/// Where it is none.
#[must_use]
pub fn decimal(cell: &str) -> Decimal {
    let number: Result<Decimal, _> = cell.parse();
    number
        .unwrap_or_else(|_| panic!("{cell} is no number"))
        .normalize()
}

/// The numbers of a table's rows.
///
/// # Panics
/// Without such a table, or where a cell is no number.
#[must_use]
pub fn numbers(head: &str) -> BTreeMap<String, Vec<Decimal>> {
    let rows = table(head).into_iter();
    rows.map(|(name, cells)| (name, cells.iter().map(|cell| decimal(cell)).collect()))
        .collect()
}

/// The numbers of the one row of COSTS.md whose first cell is this.
///
/// # Panics
/// Where there is no such row, or more than one.
#[must_use]
pub fn stated(step: &str) -> Vec<Decimal> {
    let mut rows = COSTS
        .lines()
        .map(cells)
        .filter(|row| row.first().is_some_and(|first| first == step));
    let (Some(row), None) = (rows.next(), rows.next()) else {
        panic!("COSTS.md has not one row {step}");
    };
    row.iter().skip(1).map(|cell| decimal(cell)).collect()
}

/// The numbers of the rows of a table that begin with this function's name, by the step that follows it.
///
/// # Panics
/// Without such a table, or where a cell is no whole number.
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

/// The shipped outbox and store on a DynamoDB that counts, with an event log, marks and the tables that are named.
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
    /// Starts it.
    ///
    /// # Panics
    /// When no port is to be had.
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

    /// Starts it with an outbox that has no event log.
    ///
    /// # Panics
    /// When no port is to be had.
    pub async fn without_log(tables: &[Table]) -> Self {
        let (events, marks) = (Table::events("events"), Table::marks("marks"));
        let all = tables.iter().chain([&events, &marks]);
        let stub = DynamoStub::start(all, Duration::ZERO, None).expect("a port");
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
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

    /// The DynamoDB.
    #[must_use]
    pub fn stub(&self) -> &DynamoStub {
        &self.stub
    }

    /// The store on it.
    #[must_use]
    pub fn store(&self) -> Arc<DynamoStore> {
        Arc::clone(&self.store)
    }

    /// The outbox on it.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Writes a row, uncounted.
    ///
    /// # Panics
    /// Where it is no item.
    pub async fn put(&self, key: &Key, row: &Value) {
        let item = encode_item(key, row).expect("an item");
        let put = self.store.put_all(&key.table, &[item]).await;
        put.expect("put");
        drop(self.stub.take_counts());
    }

    /// What a run of a job costs that comes to its end: over this outbox, with the settings it has where nothing is set.
    ///
    /// # Panics
    /// Where it fails, or does not come to its end in a minute.
    pub async fn run<J: Job>(&self, job: J, outbox: &Outbox) -> (Report, Counts) {
        drop(self.stub.take_counts());
        let runner = schedule::Runner::new(job, outbox.clone(), schedule::Settings::default());
        let deadline = SystemClock.now().plus(Duration::from_secs(60));
        let report = runner.run(deadline).await.expect("a run");
        assert_eq!(report.outcome, Ending::Finished);
        (report, self.stub.take_counts())
    }
}

/// A consumer on a [`Site`]: the shipped runtime, with the settings it has where nothing is set.
pub struct Bench<H: Handler> {
    site: Site,
    runner: Runner<H>,
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
    /// Starts a handler with its table, over an outbox that may read the log.
    ///
    /// # Panics
    /// When no port is to be had.
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
            runner: Runner::new(handler, site.outbox.clone(), queue, Settings::default()),
            lane,
            site,
        }
    }

    /// Puts an event into the event log, uncounted, for who reads it there.
    ///
    /// # Panics
    /// Where it is no envelope.
    pub async fn log(&self, envelope: &Value) {
        let text = |name: &str| envelope[name].as_str().expect("text");
        let row = json!({
            "aggregate": format!("{}#{}", text("aggregate_type"), text("aggregate_id")),
            "sequence": envelope["sequence"], "envelope": envelope.to_string(), "event_id": envelope["event_id"],
            "event_type": envelope["event_type"], "committed_at": envelope["occurred_at"],
        });
        let items = [row.as_object().cloned().expect("an object")];
        let events = self.site.outbox.events_table().expect("a log");
        let put = self.site.store.put_all(events, &items).await;
        put.expect("put");
        drop(self.site.stub.take_counts());
    }

    /// What a batch of these costs.
    ///
    /// # Panics
    /// Where one of them has another outcome.
    pub async fn consume(&self, envelopes: &[Value], outcome: Outcome) -> Counts {
        let now = SystemClock.now();
        let messages = envelopes.iter().enumerate().map(|(at, envelope)| Message {
            message_id: format!("message-{at}"),
            receipt_handle: format!("receipt-{at}"),
            body: envelope.to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
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
/// Where there is none.
#[must_use]
pub fn sample(event_type: &str) -> Value {
    let (domain, action) = event_type.split_once('.').expect("domain.action");
    let samples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../events/samples");
    let of_type = format!("{domain}/{}-v1/full.json", action.replace('_', "-"));
    let text = std::fs::read_to_string(samples.join(of_type)).expect("a sample");
    serde_json::from_str(&text).expect("JSON")
}

/// The first event of its aggregate, as its contract says, with this payload and an id of its own.
///
/// # Panics
/// Without a contract, or where the payload does not name the aggregate.
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

/// A router on a [`Site`], and who calls it: with one API key, each call with an idempotency key of its own.
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
    /// Of this router, which knows this key.
    pub fn new(site: Site, router: S, key: impl Into<String>) -> Self {
        Self {
            site,
            router,
            key: key.into(),
            calls: 0,
        }
    }

    /// What it stands on.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// A call's answer, and what it cost.
    ///
    /// # Panics
    /// Where it is refused.
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
        // What was before is somebody else's.
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

    /// A command's answer, and what it cost.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn post(&mut self, path: &str, body: &Value) -> (Value, Counts) {
        self.call(Method::POST, path, body).await
    }

    /// The same with another API key.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn post_by(&mut self, key: &str, path: &str, body: &Value) -> (Value, Counts) {
        self.call_by(key, Method::POST, path, body).await
    }

    /// What is read, and what that cost.
    ///
    /// # Panics
    /// Where it is refused.
    pub async fn get(&mut self, path: &str) -> (Value, Counts) {
        self.call(Method::GET, path, &Value::Null).await
    }
}
