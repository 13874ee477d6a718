//! The router of an API function in process: with an API key, over a store that lets other tasks run between its calls.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod store;

use std::{future::Future, sync::Arc};

use api::{Keys, keys::NewKey};
use axum::{Router, body::Body};
use events::{Cause, Envelope, Registry, Sequence, Timestamp};
use http::{HeaderMap, Method, Request, StatusCode, request::Builder};
use http_body_util::BodyExt as _;
use outbox::{Decision, Error, Mark, Outbox, Outcome, Table, Transaction};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::TestClock;

pub use store::{Hold, YieldingStore};

/// An API function and its caller.
pub struct Service {
    outbox: Outbox,
    clock: Arc<TestClock>,
    store: Arc<YieldingStore>,
    keys: Keys,
    router: Router,
    key: String,
}

impl std::fmt::Debug for Service {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service").finish_non_exhaustive()
    }
}

impl Service {
    /// Starts the function with the tables `events`, `marks` and `keys`, and with an API key that has every permission.
    ///
    /// # Panics
    /// When there is no randomness for the key.
    pub async fn start(router: impl FnOnce(&Outbox, &Keys) -> Router) -> Self {
        let store = Arc::new(YieldingStore::default());
        let keys = Keys::new(Arc::<YieldingStore>::clone(&store), Table::domain("keys"));
        let clock = Arc::new(TestClock::new(7));
        let outbox = Outbox::new(
            Arc::<YieldingStore>::clone(&store),
            Arc::<TestClock>::clone(&clock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        let mut service = Self {
            router: router(&outbox, &keys),
            outbox,
            clock,
            store,
            keys,
            key: String::new(),
        };
        service.use_key(&["*"]).await;
        service
    }

    /// Another instance of the function over the same store, called with the same API key.
    #[must_use]
    pub fn other_instance(&self, router: impl FnOnce(&Outbox, &Keys) -> Router) -> Self {
        Self {
            outbox: self.outbox.clone(),
            clock: Arc::clone(&self.clock),
            store: Arc::clone(&self.store),
            keys: self.keys.clone(),
            router: router(&self.outbox, &self.keys),
            key: self.key.clone(),
        }
    }

    /// The function's outbox.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &TestClock {
        &self.clock
    }

    /// The store, with switches for what can go wrong.
    #[must_use]
    pub fn store(&self) -> &YieldingStore {
        &self.store
    }

    /// From now on, calls use a new API key of the owner `billing` with these scopes.
    ///
    /// # Panics
    /// When one of them is not a scope.
    pub async fn use_key(&mut self, scopes: &[&str]) {
        self.key = self.key_of("billing", scopes).await;
    }

    /// Makes a new API key of this owner. Calls use it only when it is passed to them: [`Self::post_by`].
    ///
    /// # Panics
    /// When this is not an owner, or one of them is not a scope.
    pub async fn key_of(&self, owner: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| scope.parse().expect("a scope"));
        let owner = owner.parse().expect("an owner");
        let key = NewKey::generate(owner, scopes.collect(), Timestamp::EPOCH).expect("randomness");
        let clock = self.outbox.clock();
        self.keys.create(&**clock, &key).await.expect("created");
        key.text().to_owned()
    }

    /// A request with the API key.
    pub fn request(&self, method: Method, path: &str) -> Builder {
        request_by(&self.key, method, path)
    }

    /// The response to a request with this body, byte for byte.
    ///
    /// # Panics
    /// When the response is not JSON.
    pub async fn send_text(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.body(body.into()).expect("a request");
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.expect("a body").to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).expect("JSON"),
        }
    }

    /// The response to a request with this body. A null body is left out.
    pub async fn send(&self, request: Builder, body: &Value) -> Answer {
        let text = match body {
            Value::Null => String::new(),
            body => body.to_string(),
        };
        self.send_text(request, text).await
    }

    /// The response to a GET.
    pub async fn get(&self, path: &str) -> Answer {
        let request = self.request(Method::GET, path);
        self.send_text(request, Body::empty()).await
    }

    /// The response to a POST with an idempotency key.
    pub async fn post(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.command(Method::POST, path, key, body).await
    }

    /// The response to a POST with another API key and an idempotency key.
    pub async fn post_by(&self, api_key: &str, path: &str, key: &str, body: &Value) -> Answer {
        let request = request_by(api_key, Method::POST, path).header("idempotency-key", key);
        self.send(request, body).await
    }

    /// The response to a PUT with an idempotency key.
    pub async fn put(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.command(Method::PUT, path, key, body).await
    }

    /// The response to a PATCH with an idempotency key.
    pub async fn patch(&self, path: &str, key: &str, body: &Value) -> Answer {
        self.command(Method::PATCH, path, key, body).await
    }

    /// The response to a DELETE with an idempotency key.
    pub async fn delete(&self, path: &str, key: &str) -> Answer {
        self.command(Method::DELETE, path, key, &Value::Null).await
    }

    async fn command(&self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("idempotency-key", key);
        self.send(request, body).await
    }

    /// The first events of an aggregate, up to 100.
    ///
    /// # Panics
    /// When there are more, or one of them cannot be read.
    pub async fn history(&self, aggregate: &str) -> Vec<Envelope> {
        let first = Sequence::new(1).expect("a sequence");
        let history = self.outbox.history(aggregate, first, 100).await;
        let history = history.expect("a history");
        assert!(history.next.is_none(), "more than a page of {aggregate}");
        let envelopes = history.envelopes.iter();
        envelopes
            .map(|raw| serde_json::from_str(raw.get()).expect("an envelope"))
            .collect()
    }

    /// Commits a change without the API. Every number commits once.
    ///
    /// # Panics
    /// When the change is not committed.
    pub async fn once<F, Fut>(&self, number: u64, decide: F)
    where
        F: Fn(Transaction) -> Fut,
        Fut: Future<Output = Result<Decision<(), ()>, Error>>,
    {
        let mark = Mark::Episode {
            name: "seed",
            number,
            phase: "opened",
        };
        let outcome = self.outbox.execute(&mark, &Cause::default(), decide).await;
        let outcome = outcome.expect("executed");
        assert!(matches!(outcome, Outcome::Committed { .. }), "{outcome:?}");
    }
}

fn request_by(api_key: &str, method: Method, path: &str) -> Builder {
    Request::builder()
        .method(method)
        .uri(path)
        .header("authorization", format!("Bearer {api_key}"))
}

/// A response.
#[derive(Debug, PartialEq)]
pub struct Answer {
    /// The response's status.
    pub status: StatusCode,
    /// The response's headers.
    pub headers: HeaderMap,
    /// The response's body.
    pub body: Value,
}

impl Answer {
    /// A header's value; empty if there is none.
    ///
    /// # Panics
    /// When the value is not text.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let value = self.headers.get(name);
        value.map_or("", |value| value.to_str().expect("text"))
    }

    /// Whether this is the stored response to the first request with this idempotency key.
    #[must_use]
    pub fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }

    /// An id in the response's body.
    ///
    /// # Panics
    /// When there is no such id.
    #[must_use]
    pub fn id(&self, name: &str) -> &str {
        self.body[name].as_str().expect("an id")
    }

    /// The problem's kind.
    ///
    /// # Panics
    /// When this is not a problem.
    #[must_use]
    pub fn problem(&self) -> &str {
        let kind = self.body["type"].as_str();
        kind.and_then(|kind| kind.strip_prefix("urn:millrace:problem:"))
            .unwrap_or_else(|| panic!("not a problem: {self:?}"))
    }

    /// The status and kind of a refusal.
    ///
    /// # Panics
    /// When this is not a refusal.
    #[must_use]
    pub fn refusal(&self) -> (u16, &str) {
        assert!(!self.status.is_success(), "{self:?}");
        (self.status.as_u16(), self.problem())
    }

    /// The JSON pointers of an invalid request's violations.
    ///
    /// # Panics
    /// When there are no violations.
    #[must_use]
    pub fn pointers(&self) -> Vec<&str> {
        let violations = self.body["violations"].as_array().expect("violations");
        let pointers = violations.iter().map(|found| found["pointer"].as_str());
        pointers.map(|pointer| pointer.expect("text")).collect()
    }
}
