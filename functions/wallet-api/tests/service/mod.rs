//! The function's router in process, with a key, members and a store that lets others in between its calls.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use events::{
    Cause, Contract as _, Envelope, MemberId, Registry, Sequence, Timestamp,
    contracts::wallet::BalanceUpdated,
};
use http::{Method, Request, StatusCode, request::Builder};
use http_body_util::BodyExt as _;
use member::Member;
use outbox::{
    CommitError, Decision, Error, Fault, Guarded, GuardedPut, Item, Key, Mark, Outbox, Outcome,
    Page, Prepared, Query, Scan, Store, Table, memory::MemoryStore,
};
use serde_json::{Value, json};
use testkit::TestClock;
use tower::ServiceExt as _;
use wallet::balances::Row;
use wallet_api::{
    balances::{Balances, CacheSettings},
    handler::{App, Tables},
    router,
};

/// The store in memory answers at once; this one lets every other task run before each call.
#[derive(Default)]
pub(crate) struct Yielding {
    store: MemoryStore,
    cancelled: AtomicU32,
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
        self.store.query(query).await
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
}

impl Service {
    pub(crate) async fn with_members(members: &[&str]) -> Self {
        Self::with_cache(members, CacheSettings::default()).await
    }

    pub(crate) async fn with_cache(members: &[&str], cache: CacheSettings) -> Self {
        let store = Arc::new(Yielding::default());
        let keys = Keys::new(store.clone(), Table::domain("keys"));
        let outbox = Outbox::new(
            store.clone(),
            Arc::new(TestClock::new(7)),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        for id in members {
            register(&outbox, id).await;
        }
        let router = router_of(&outbox, &keys, &cache);
        let mut service = Self {
            outbox,
            router,
            store,
            keys,
            key: String::new(),
        };
        service.use_key(&["*"]).await;
        service
    }

    /// Another instance of the function over the same store.
    pub(crate) fn other_instance(&self, cache: CacheSettings) -> Self {
        Self {
            outbox: self.outbox.clone(),
            router: router_of(&self.outbox, &self.keys, &cache),
            store: self.store.clone(),
            keys: self.keys.clone(),
            key: self.key.clone(),
        }
    }

    pub(crate) fn store(&self) -> &MemoryStore {
        &self.store.store
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

    pub(crate) async fn deposit(&self, key: &str, user: &str, amount: &str) -> Answer {
        let path = format!("/api/v1/wallets/{user}/deposits");
        self.post(&path, key, &json!({ "amount": amount })).await
    }

    /// Everything that the store holds, except marks of keys: what a refusal must leave as it is.
    pub(crate) fn everything(&self) -> Vec<Item> {
        [
            wallet_table(),
            Table::events("events"),
            Table::marks("marks"),
        ]
        .iter()
        .flat_map(|table| self.store.store.items(table))
        .collect()
    }

    /// What the consumer `wallet-balances` does about these events.
    pub(crate) async fn project(&self, events: &[Envelope]) {
        for event in events {
            if event.event_type.as_str() == BalanceUpdated::TYPE {
                let updated: BalanceUpdated = serde_json::from_str(event.payload.json()).unwrap();
                let row = Row::of(&updated, event.occurred_at);
                let put = row.guarded_put(&wallet_table()).unwrap();
                self.store.put_guarded(&put).await.unwrap();
            }
        }
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

fn router_of(outbox: &Outbox, keys: &Keys, cache: &CacheSettings) -> Router {
    let tables = Tables {
        wallet: wallet_table(),
        members: Table::domain("member"),
        activity: activity_table(),
    };
    let app = App::new(outbox.clone(), tables, Balances::new(cache));
    router::routes().router(Arc::new(app), keys)
}

pub(crate) fn wallet_table() -> Table {
    Table::domain("wallet")
}

pub(crate) fn activity_table() -> Table {
    Table::domain("activity")
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
