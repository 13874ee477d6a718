//! The function's router in process, with a key and a store that lets others in between its calls.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use events::{Envelope, Registry, Sequence, Timestamp};
use http::{Method, Request, StatusCode, request::Builder};
use http_body_util::BodyExt as _;
use outbox::{
    CommitError, Fault, Guarded, GuardedPut, Item, Key, Outbox, Page, Prepared, Query, Scan, Store,
    Table, memory::MemoryStore,
};
use serde_json::{Value, json};
use settlement_api::{handler::App, router};
use testkit::TestClock;
use tower::ServiceExt as _;

pub(crate) const PAYMENTS: &str = "/api/v1/payments";
pub(crate) const SETTLEMENTS: &str = "/api/v1/settlements";

/// The store in memory answers at once; this one lets every other task run before each call.
#[derive(Default)]
pub(crate) struct Yielding {
    store: MemoryStore,
    deaf: AtomicBool,
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
        let mut page = self.store.query(query).await?;
        // A log whose last event was lost.
        if self.deaf.load(Ordering::SeqCst) && query.table.name() == "events" {
            page.items.pop();
        }
        Ok(page)
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        tokio::task::yield_now().await;
        self.store.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        tokio::task::yield_now().await;
        self.store.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.store.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.store.put_all(table, items).await
    }
}

pub(crate) struct Service {
    outbox: Outbox,
    router: Router,
    store: Arc<Yielding>,
    keys: Keys,
    key: String,
}

impl Service {
    pub(crate) async fn start() -> Self {
        let store = Arc::new(Yielding::default());
        let keys = Keys::new(store.clone(), Table::domain("keys"));
        let outbox = Outbox::new(
            store.clone(),
            Arc::new(TestClock::new(7)),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        let weights = "cost:40,speed:30,reliability:30".parse().unwrap();
        let app = App::new(outbox.clone(), Table::domain("settlement"), weights);
        let router = router::routes().router(Arc::new(app), &keys);
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

    pub(crate) async fn use_key(&mut self, scopes: &[&str]) {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate("billing".parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        self.keys
            .create(&**self.outbox.clock(), &key)
            .await
            .unwrap();
        self.key = key.text().to_owned();
    }

    /// From now on the last event of every history is lost.
    pub(crate) fn lose_last_events(&self) {
        self.store.deaf.store(true, Ordering::SeqCst);
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
    }

    pub(crate) async fn send(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status.as_u16(),
            replayed: parts.headers.contains_key("idempotency-replayed"),
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), Body::empty())
            .await
    }

    /// A command; a null body is left out.
    pub(crate) async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        let request = self
            .request(Method::POST, path)
            .header("idempotency-key", key);
        let text = if body.is_null() {
            String::new()
        } else {
            body.to_string()
        };
        self.send(request, text).await
    }

    /// A new payment's path.
    pub(crate) async fn payment(&self, key: &str, amount: &str) -> String {
        let body = json!({ "amount": amount, "currency": "EUR" });
        let made = self.post(PAYMENTS, key, &body).await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{PAYMENTS}/{}", made.id("payment_id"))
    }

    /// A captured payment's path.
    pub(crate) async fn captured(&self, key: &str, amount: &str) -> String {
        let path = self.payment(key, amount).await;
        for step in ["authorize", "capture"] {
            let done = self
                .post(&format!("{path}/{step}"), key, &Value::Null)
                .await;
            assert_eq!(done.status, 200, "{done:?}");
        }
        path
    }

    /// A new settlement's path.
    pub(crate) async fn settlement(&self, key: &str, payment: &str) -> String {
        let made = self
            .post(SETTLEMENTS, key, &settlement_of(payment, "10"))
            .await;
        assert_eq!(made.status, 201, "{made:?}");
        format!("{SETTLEMENTS}/{}", made.id("settlement_id"))
    }

    /// A submitted settlement's path.
    pub(crate) async fn submitted(&self, key: &str, payment: &str) -> String {
        let path = self.settlement(key, payment).await;
        let body = json!({ "tx_hash": "0xabc" });
        let done = self.post(&format!("{path}/submit"), key, &body).await;
        assert_eq!(done.status, 200, "{done:?}");
        path
    }

    /// The events of what a path leads to.
    pub(crate) async fn history(&self, path: &str) -> Vec<Envelope> {
        let (kind, id) = path.rsplit_once('/').unwrap();
        let kind = kind.rsplit('/').next().unwrap().trim_end_matches('s');
        let first = Sequence::new(1).unwrap();
        let aggregate = format!("{kind}#{id}");
        let history = self.outbox.history(&aggregate, first, 100).await.unwrap();
        assert!(history.next.is_none());
        let envelopes = history.envelopes.iter();
        envelopes
            .map(|raw| serde_json::from_str(raw.get()).unwrap())
            .collect()
    }

    pub(crate) async fn types(&self, path: &str) -> Vec<String> {
        let history = self.history(path).await;
        let types = history.iter().map(|event| event.event_type.to_string());
        types.collect()
    }
}

pub(crate) fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

pub(crate) fn network(name: &str, cost: &str, seconds: u32) -> Value {
    json!({
        "network": name, "cost_usd": cost, "seconds": seconds, "reliability": 0.99, "gas_estimate": "0.000021",
        "required_confirmations": 30
    })
}

/// The request for a settlement of the payment that a path leads to.
pub(crate) fn settlement_of(payment: &str, amount: &str) -> Value {
    let id = payment.rsplit('/').next().unwrap();
    let networks = [network("base", "0.02", 60), network("polygon", "0.01", 120)];
    json!({ "payment_id": id, "amount": amount, "networks": networks })
}

#[derive(Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) replayed: bool,
    pub(crate) body: Value,
}

impl Answer {
    pub(crate) fn id(&self, name: &str) -> &str {
        self.body[name].as_str().unwrap()
    }

    pub(crate) fn problem(&self) -> (u16, &str) {
        let status = StatusCode::from_u16(self.status).unwrap();
        assert!(!status.is_success(), "{self:?}");
        let kind = self.body["type"].as_str().unwrap();
        (
            self.status,
            kind.strip_prefix("urn:millrace:problem:").unwrap(),
        )
    }

    pub(crate) fn pointers(&self) -> Vec<&str> {
        let violations = self.body["violations"].as_array().unwrap();
        violations
            .iter()
            .map(|found| found["pointer"].as_str().unwrap())
            .collect()
    }
}
