//! The function's router in process, with a key, members and a store that lets others in between its calls.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicU32, Ordering},
};

use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use cloud::totals;
use cloud_api::{handler::App, router};
use events::{Cause, MemberId, Registry, Sequence, Timestamp};
use http::{Method, Request, StatusCode, request::Builder};
use http_body_util::BodyExt as _;
use member::Member;
use outbox::{
    CommitError, Decision, Error, Fault, Guarded, GuardedPut, Item, Key, Mark, Outbox, Outcome,
    Page, Prepared, Query, Scan, Store, Table, memory::MemoryStore,
};
use serde_json::{Value, json};
use testkit::TestClock;
use tokio::sync::Notify;
use tower::ServiceExt as _;

/// The store in memory answers at once; this one lets every other task run before each call.
#[derive(Default)]
pub(crate) struct Yielding {
    store: MemoryStore,
    cancelled: AtomicU32,
    held: Mutex<Option<Hold>>,
}

/// Holds back the answer to a query that was already read.
#[derive(Clone, Default)]
pub(crate) struct Hold {
    read: Arc<Notify>,
    go_on: Arc<Notify>,
}

impl Hold {
    /// Waits until the query was read.
    pub(crate) async fn was_read(&self) {
        self.read.notified().await;
    }

    /// Lets whoever queried have the answer.
    pub(crate) fn go_on(&self) {
        self.go_on.notify_one();
    }
}

#[async_trait]
impl Store for Yielding {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        tokio::task::yield_now().await;
        self.store.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        tokio::task::yield_now().await;
        self.store.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        tokio::task::yield_now().await;
        let page = self.store.query(query).await;
        let held = self.held.lock().unwrap().take();
        if let Some(held) = held {
            held.read.notify_one();
            held.go_on.notified().await;
        }
        page
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        tokio::task::yield_now().await;
        self.store.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        tokio::task::yield_now().await;
        let outcome = self.store.commit(prepared).await;
        if matches!(outcome, Err(CommitError::Cancelled(_))) {
            self.cancelled.fetch_add(1, Ordering::SeqCst);
        }
        outcome
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        tokio::task::yield_now().await;
        self.store.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        tokio::task::yield_now().await;
        self.store.put_all(table, items).await
    }
}

pub(crate) struct Service {
    pub(crate) outbox: Outbox,
    router: Router,
    store: Arc<Yielding>,
    keys: Keys,
    key: String,
    pub(crate) clock: Arc<TestClock>,
}

impl Service {
    pub(crate) async fn with_members(members: &[&str]) -> Self {
        let store = Arc::new(Yielding::default());
        let keys = Keys::new(store.clone(), Table::domain("keys"));
        let clock = Arc::new(TestClock::new(7));
        let outbox = Outbox::new(
            store.clone(),
            clock.clone(),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        for id in members {
            register(&outbox, id).await;
        }
        let app = App::new(
            outbox.clone(),
            cloud_table(),
            Table::domain("member"),
            "10".parse().unwrap(),
            "1:2.5,30:5".parse().unwrap(),
        );
        let router = router::routes().router(Arc::new(app), &keys);
        let mut service = Self {
            outbox,
            router,
            store,
            keys,
            key: String::new(),
            clock,
        };
        service.use_key(&["*"]).await;
        service
    }

    pub(crate) async fn use_key(&mut self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate("billing".parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        self.keys
            .create(&**self.outbox.clock(), &key)
            .await
            .unwrap();
        self.key = key.text().to_owned();
    }

    /// Holds back the answer to the next query.
    pub(crate) fn hold_next_query(&self) -> Hold {
        let hold = Hold::default();
        *self.store.held.lock().unwrap() = Some(hold.clone());
        hold
    }

    /// How many commits were cancelled so far.
    pub(crate) fn cancelled(&self) -> u32 {
        self.store.cancelled.load(Ordering::SeqCst)
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
    }

    pub(crate) async fn send_text(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    pub(crate) async fn send(&self, request: Builder, body: &Value) -> Answer {
        self.send_text(request, body.to_string()).await
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send_text(self.request(Method::GET, path), Body::empty())
            .await
    }

    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("idempotency-key", key);
        self.send(request, body).await
    }

    pub(crate) async fn put(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .request(Method::PUT, path)
            .header("idempotency-key", key);
        self.send(request, body).await
    }

    pub(crate) async fn mint(&self, key: &str, member: &str, amount: &str) -> Answer {
        let body = json!({ "member_id": member, "amount": amount });
        self.post("/api/v1/cloud/mints", key, &body).await
    }
}

#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: http::HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    pub(crate) fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap();
        kind.strip_prefix("urn:millrace:problem:").unwrap()
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let violations = self.body["violations"].as_array().unwrap();
        violations
            .iter()
            .map(|found| found["pointer"].as_str().unwrap())
            .collect()
    }
}

fn cloud_table() -> Table {
    Table::domain("cloud")
}

async fn once<F, Fut>(outbox: &Outbox, number: u64, decide: F)
where
    F: Fn(outbox::Transaction) -> Fut,
    Fut: Future<Output = Result<Decision<(), ()>, Error>>,
{
    let mark = Mark::Episode {
        name: "seed",
        number,
        phase: "opened",
    };
    let outcome = outbox
        .execute(&mark, &Cause::default(), decide)
        .await
        .unwrap();
    assert!(matches!(outcome, Outcome::Committed { .. }));
}

async fn register(outbox: &Outbox, id: &str) {
    let members = Table::domain("member");
    let command: member::Registration = serde_json::from_value(
        json!({ "name": format!("Name of {id}"), "email": "a@example.org" }),
    )
    .unwrap();
    let number = id
        .bytes()
        .fold(0, |sum: u64, byte| sum * 256 + u64::from(byte));
    let (members, command) = (&members, &command);
    once(outbox, number, |mut transaction| async move {
        let entity = outbox.load::<Member>(members, id).await?;
        let member_id = MemberId::new(id).unwrap();
        let version = Sequence::new(1).unwrap();
        let registering =
            member::register(None, member_id, command.clone(), version, transaction.now()).unwrap();
        registering.save(&mut transaction, &entity)?;
        Ok(Decision::Commit(transaction, ()))
    })
    .await;
}

/// Counts credits into the total's rows, as the consumer does.
pub(crate) async fn seeded_credits(service: &Service, amounts: &[&str]) {
    once(&service.outbox, 1, |mut transaction| async move {
        for (shard, amount) in (0..).zip(amounts) {
            let amounts = vec![(totals::OUTSTANDING, amount.parse().unwrap())];
            transaction.add(totals::key(&cloud_table(), shard), amounts);
        }
        Ok(Decision::Commit(transaction, ()))
    })
    .await;
}
