//! Tests the endpoints as callers see them.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use ::http::{HeaderMap, Request, StatusCode};
use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use dashboard::{
    ages::Ages,
    config::StreamAddress,
    files::Files,
    lanes::{Depth, Lane, Queues},
    letters::Letters,
    paused::Paused,
    router::{App, router},
};
use events::Timestamp;
use http_body_util::BodyExt as _;
use letters::pause::Wish;
use outbox::{Clock as _, Fault, Table, memory::MemoryStore};
use serde_json::{Value, json};
use stream_token::Tokens;
use testkit::TestClock;
use tower::ServiceExt as _;

const TOKENS: &str = "/api/v1/stream-tokens";

struct FullQueues;

#[async_trait]
impl Queues for FullQueues {
    async fn depth(&self, name: &str) -> Result<Depth, Fault> {
        Ok(Depth {
            waiting: u64::try_from(name.len()).unwrap(),
            in_flight: 1,
        })
    }
}

#[async_trait]
impl Letters for FullQueues {
    async fn open(&self, _now: Timestamp) -> Result<BTreeMap<String, u64>, Fault> {
        let open = [("audit-log", 3), ("event-feed", 2), ("unknown", 1)];
        Ok(open.map(|(name, open)| (name.to_owned(), open)).into())
    }
}

#[async_trait]
impl Paused for FullQueues {
    async fn paused(&self) -> Result<Vec<Wish>, Fault> {
        let wish = |consumer: &str, actor: Option<&str>| {
            let mut wish = json!({
                "consumer": consumer, "status": "paused", "since": "2025-12-31T23:00:00.000Z", "reason": "It counts twice.",
                "key_owner": "on-call", "version": 1,
            });
            if let Some(actor) = actor {
                wish["actor"] = actor.into();
            }
            serde_json::from_value(wish).unwrap()
        };
        Ok(vec![
            wish("audit-log", Some("ada")),
            wish("event-feed", None),
        ])
    }
}

#[async_trait]
impl Ages for FullQueues {
    async fn oldest(
        &self,
        queues: &[&str],
        _now: Timestamp,
    ) -> Result<HashMap<String, u64>, Fault> {
        let known = queues.iter().filter(|name| **name == "abc");
        Ok(known.map(|name| ((*name).to_owned(), 42)).collect())
    }
}

struct Service {
    router: Router,
    clock: Arc<TestClock>,
    keys: Keys,
    tokens: Tokens,
    key: String,
}

impl Service {
    async fn start() -> Self {
        Self::with(None).await
    }

    async fn with(stream: Option<&str>) -> Self {
        let clock = Arc::new(TestClock::new(1));
        let keys = Keys::new(Arc::new(MemoryStore::new()), Table::domain("keys"));
        let secret = "0123456789abcdef0123456789abcdef";
        let tokens = Tokens::new(secret, Duration::from_secs(600)).unwrap();
        let stream = stream.map(|url| StreamAddress::read(url).unwrap());
        let app = App {
            clock: Arc::clone(&clock) as _,
            keys: keys.clone(),
            tokens: tokens.clone(),
            files: Files::new(stream.as_ref()),
            stream,
            queues: Arc::new(FullQueues),
            ages: Arc::new(FullQueues),
            letters: Arc::new(FullQueues),
            paused: Arc::new(FullQueues),
            lanes: [
                ("audit-log", "express", "abc"),
                ("event-feed", "express", "e"),
                ("event-feed", "standard", "ef"),
            ]
            .map(|(consumer, lane, queue)| Lane(consumer.into(), lane.into(), queue.into()))
            .into(),
        };
        let mut service = Self {
            router: router(app),
            clock,
            keys,
            tokens,
            key: String::new(),
        };
        service.key = service.key_of(&["events:read", "status:read"]).await;
        service
    }

    async fn key_of(&self, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate("ops".parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        self.keys.create(&*self.clock, &key).await.unwrap();
        key.text().to_owned()
    }

    async fn call(
        &self,
        method: &str,
        path: &str,
        key: Option<&str>,
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let answer = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = answer.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        (
            parts.status,
            parts.headers,
            String::from_utf8(bytes.to_vec()).unwrap(),
        )
    }

    async fn token(&self, body: &str) -> Value {
        let (status, _, body) = self.call("POST", TOKENS, Some(&self.key), body).await;
        assert_eq!(status, StatusCode::CREATED, "{body}");
        serde_json::from_str(&body).unwrap()
    }
}

#[tokio::test]
async fn without_a_key_of_the_scope_nothing_is_told() {
    let service = Service::start().await;
    let other = service.key_of(&["wallets:read"]).await;
    for (key, wanted) in [
        (None, 401),
        (Some("mr_x"), 401),
        (Some(other.as_str()), 403),
    ] {
        for (method, path) in [("POST", TOKENS), ("GET", "/api/v1/status")] {
            let status = service.call(method, path, key, "").await.0;
            assert_eq!(status, wanted, "{path}");
        }
    }
}

#[tokio::test]
async fn a_token_names_its_key_and_filter_for_ten_minutes() {
    let service = Service::start().await;
    let reply = service.token(r#"{"filter": {"types": ["wallet."]}}"#).await;
    assert_eq!(reply["expires_at"], "2026-01-01T00:10:00.000Z");
    assert_eq!(reply.get("url"), None, "the stream is at the same address");
    let token = reply["token"].as_str().unwrap();
    let claims = service.tokens.verify(token, service.clock.now()).unwrap();
    assert_eq!(claims.owner, "ops");
    assert_eq!(claims.filter.types, ["wallet."]);
    service.clock.advance(Duration::from_secs(600));
    assert!(service.tokens.verify(token, service.clock.now()).is_none());
    // A token is no API key.
    let status = service.call("GET", "/api/v1/status", Some(token), "").await;
    assert_eq!(status.0, 401);
    for wrong in [
        r#"{"filter": {"types": ["wallet"]}}"#,
        r#"{"filters": {}}"#,
        "[",
        "{}x",
    ] {
        let answer = service
            .call("POST", TOKENS, Some(&service.key), wrong)
            .await;
        assert_eq!(answer.0, 422, "{wrong}");
    }
    let large = " ".repeat(20_000);
    let answer = service
        .call("POST", TOKENS, Some(&service.key), &large)
        .await;
    assert_eq!(answer.0, 413);
}

#[tokio::test]
async fn a_stream_with_an_address_of_its_own_is_named_and_allowed() {
    let url = "https://id.lambda-url.us-east-1.on.aws/";
    let service = Service::with(Some(url)).await;
    assert_eq!(
        service.token("").await["url"],
        "https://id.lambda-url.us-east-1.on.aws/api/v1/events/stream"
    );
    let (_, headers, _) = service.call("GET", "/dashboard/index.html", None, "").await;
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(
        policy.contains("connect-src 'self' https://id.lambda-url.us-east-1.on.aws;"),
        "{policy}"
    );
}

#[tokio::test]
async fn what_waits_in_the_lanes_is_shown_with_dead_letters_once_and_what_is_paused() {
    let service = Service::start().await;
    let answer = service
        .call("GET", "/api/v1/status", Some(&service.key), "")
        .await;
    assert_eq!(answer.0, StatusCode::OK);
    assert_eq!(
        serde_json::from_str::<Value>(&answer.2).unwrap(),
        json!({
            "consumers": [
                { "consumer": "audit-log", "lane": "express", "depth": 3, "in_flight": 1, "letters": 3, "oldest_seconds": 42 },
                { "consumer": "event-feed", "lane": "express", "depth": 1, "in_flight": 1, "letters": 0, "oldest_seconds": null },
                { "consumer": "event-feed", "lane": "standard", "depth": 2, "in_flight": 1, "letters": 2, "oldest_seconds": null },
            ],
            "letters": [
                { "consumer": "audit-log", "open": 3 }, { "consumer": "event-feed", "open": 2 }, { "consumer": "unknown", "open": 1 },
            ],
            // The oldest message of the first has waited for 42 s of 14 days.
            "paused": [
                {
                    "consumer": "audit-log", "since": "2025-12-31T23:00:00.000Z", "reason": "It counts twice.", "actor": "ada",
                    "key_owner": "on-call", "oldest_seconds": 42, "deleted_in_seconds": 1_209_558,
                },
                {
                    "consumer": "event-feed", "since": "2025-12-31T23:00:00.000Z", "reason": "It counts twice.", "actor": null,
                    "key_owner": "on-call", "oldest_seconds": null, "deleted_in_seconds": null,
                },
            ],
        })
    );
}

#[tokio::test]
async fn the_dashboards_files_can_run_nothing_but_themselves() {
    let service = Service::start().await;
    for (path, kind) in [
        ("/dashboard/", "text/html; charset=utf-8"),
        ("/dashboard/index.html", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/kit.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
    ] {
        let (status, headers, text) = service.call("GET", path, None, "").await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (StatusCode::OK, kind)
        );
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with(
                "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
            ),
            "{policy}"
        );
        assert!(
            policy.ends_with("; require-trusted-types-for 'script'; trusted-types 'none'"),
            "{policy}"
        );
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(headers["x-content-type-options"], "nosniff");
        assert!(!text.is_empty());
    }
    for path in [
        "/dashboard/secret",
        "/dashboard/..%2fCargo.toml",
        "/dashboard/a/b",
    ] {
        assert_eq!(service.call("GET", path, None, "").await.0, 404, "{path}");
    }
    // Relative, because a stage may stand before the path.
    assert_eq!(
        service.call("GET", "/dashboard", None, "").await.1["location"],
        "dashboard/index.html"
    );
}

#[tokio::test]
async fn every_file_of_the_page_is_served() {
    let service = Service::start().await;
    let page = concat!(env!("CARGO_MANIFEST_DIR"), "/page");
    for entry in std::fs::read_dir(page).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let path = format!("/dashboard/{name}");
        assert_eq!(service.call("GET", &path, None, "").await.0, 200, "{path}");
    }
}
