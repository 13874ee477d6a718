//! Tests the stream as its clients see it, over the in-memory store. Time advances when every task waits.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
    time::Duration,
};

use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use event_stream::{
    ages::Ages,
    hub::{self, Hub},
    lanes::{Depth, Lane, Queues},
    router::{App, Times, router},
    token::Tokens,
};
use events::{Registry, Timestamp};
use evidence::{EvidenceTables, checked_consumers};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use outbox::{Fault, Outbox, Store, Table, encode_item, memory::MemoryStore};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use testkit::TestClock;
use tower::ServiceExt as _;
use uuid::Uuid;
use views::feed::{FeedRow, Head, Place};

const STREAM: &str = "/api/v1/events/stream";
const TOKENS: &str = "/api/v1/events/stream-tokens";

struct FullQueues;

#[async_trait]
impl Queues for FullQueues {
    async fn depth(&self, name: &str) -> Result<Depth, Fault> {
        Ok(Depth {
            waiting: u64::try_from(name.len()).unwrap(),
            in_flight: 1,
            letters: (name == "abc").then(|| "de".to_owned()),
        })
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

fn feed() -> Table {
    Table::domain("feed")
}

fn row(position: u64) -> FeedRow {
    let (event_type, aggregate) = if position.is_multiple_of(3) {
        (
            "wallet.deposited",
            format!("wallet_account/{}", position % 2),
        )
    } else {
        ("settlement.created", format!("settlement/{}", position % 5))
    };
    FeedRow {
        position,
        event_type: event_type.into(),
        aggregate,
        tenant_id: position.is_multiple_of(2).then(|| "acme".to_owned()),
        envelope: json!({ "n": position }).to_string(),
        fed_at: Timestamp::EPOCH,
        expires_at: i64::MAX,
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Frame {
    id: Option<u64>,
    event: String,
    data: String,
}

impl Frame {
    fn json(&self) -> Value {
        serde_json::from_str(&self.data).unwrap()
    }
}

/// A client that reads as a browser does.
struct Client {
    body: Body,
    text: String,
}

impl Client {
    async fn frame(&mut self) -> Option<Frame> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let fields: BTreeMap<&str, &str> = block
                    .lines()
                    .filter_map(|line| line.split_once(": "))
                    .collect();
                if let (Some(event), Some(data)) = (fields.get("event"), fields.get("data")) {
                    return Some(Frame {
                        id: fields.get("id").map(|id| id.parse().unwrap()),
                        event: (*event).to_owned(),
                        data: (*data).to_owned(),
                    });
                }
            }
            let frame = self.body.frame().await?.unwrap();
            self.text
                .push_str(std::str::from_utf8(frame.data_ref().unwrap()).unwrap());
        }
    }

    /// Returns the next frame that is not a heartbeat.
    async fn event(&mut self) -> Option<Frame> {
        loop {
            let frame = self.frame().await?;
            if frame.event != "heartbeat" {
                return Some(frame);
            }
        }
    }

    async fn events(&mut self, count: usize) -> Vec<u64> {
        let mut seen = Vec::new();
        for _ in 0..count {
            let frame = self.event().await.expect("goes on");
            let position = frame.id.unwrap();
            assert_eq!(frame.json(), json!({ "n": position }));
            seen.push(position);
        }
        seen
    }
}

struct Service {
    router: Router,
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    keys: Keys,
    hub: Hub,
    key: String,
    head: u64,
}

impl Service {
    async fn start() -> Self {
        Self::with(|_, _| {}).await
    }

    async fn with(arrange: impl FnOnce(&mut hub::Settings, &mut Times)) -> Self {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(TestClock::new(1)));
        let keys = Keys::new(Arc::clone(&store) as _, Table::domain("keys"));
        let marks = Table::marks("marks");
        let outbox = Outbox::new(
            Arc::clone(&store) as _,
            Arc::clone(&clock) as _,
            Arc::new(Registry::shipped()),
            Table::events("events"),
            marks.clone(),
        );
        let mut settings = hub::Settings {
            stack: "mill".into(),
            poll: Duration::from_millis(500),
            batch: 7,
            buffer: 16,
            most: 4,
            most_of_key: 2,
        };
        let mut times = Times {
            heartbeat: Duration::from_secs(30),
            life: Duration::from_secs(900),
            margin: Duration::from_secs(5),
        };
        arrange(&mut settings, &mut times);
        let hub = Hub::new(outbox.clone(), feed(), settings);
        let secret = "0123456789abcdef0123456789abcdef";
        let app = App {
            outbox,
            keys: keys.clone(),
            feed: feed(),
            tables: EvidenceTables::of_projections()
                .into_iter()
                .fold(EvidenceTables::new(marks), |tables, table| {
                    tables.with(table, Table::domain(table.id))
                }),
            hub: hub.clone(),
            tokens: Tokens::new(secret, Duration::from_secs(600)).unwrap(),
            times,
            queues: Arc::new(FullQueues),
            ages: Arc::new(FullQueues),
            lanes: vec![Lane("audit-log".into(), "express".into(), "abc".into())],
        };
        let mut service = Self {
            router: router(app),
            store,
            clock,
            keys,
            hub,
            key: String::new(),
            head: 0,
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

    /// Adds this many events to the feed.
    async fn feed(&mut self, count: u64) {
        for position in self.head + 1..=self.head + count {
            self.put(&row(position)).await;
        }
        self.move_head(self.head + count).await;
    }

    async fn put(&self, row: &FeedRow) {
        let item = encode_item(&FeedRow::key(&feed(), row.position), row).unwrap();
        self.store.put_all(&feed(), &[item]).await.unwrap();
    }

    async fn move_head(&mut self, position: u64) {
        let item = encode_item(&Head::key(&feed()), &Head { position }).unwrap();
        self.store.put_all(&feed(), &[item]).await.unwrap();
        self.head = position;
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, Body) {
        let mut request = Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let (parts, body) = self
            .router
            .clone()
            .oneshot(request)
            .await
            .unwrap()
            .into_parts();
        (parts.status, parts.headers, body)
    }

    async fn text(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> (StatusCode, HeaderMap, String) {
        let (status, headers, body) = self.send(method, path, headers, body).await;
        let bytes = body.collect().await.unwrap().to_bytes();
        (status, headers, String::from_utf8(bytes.to_vec()).unwrap())
    }

    fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    async fn open(&self, query: &str, last: Option<u64>) -> Client {
        let (bearer, last) = (self.bearer(), last.map(|last| last.to_string()));
        let mut headers = vec![("authorization", bearer.as_str())];
        if let Some(last) = &last {
            headers.push(("last-event-id", last));
        }
        let (status, headers, body) = self
            .send("GET", &format!("{STREAM}{query}"), &headers, "")
            .await;
        assert_eq!(status, StatusCode::OK);
        assert_eq!(headers["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(headers["cache-control"], "no-store");
        Client {
            body,
            text: String::new(),
        }
    }

    async fn refused(&self, query: &str, headers: &[(&str, &str)]) -> (StatusCode, Value) {
        let (status, headers, body) = self
            .text("GET", &format!("{STREAM}{query}"), headers, "")
            .await;
        assert_eq!(headers["content-type"], "application/problem+json");
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_begins_at_the_head_and_is_sent_what_comes() {
    let mut service = Service::start().await;
    service.feed(5).await;
    let mut client = service.open("", None).await;
    let hello = client.frame().await.unwrap();
    assert_eq!((hello.event.as_str(), hello.id), ("heartbeat", Some(5)));
    service.feed(4).await;
    assert_eq!(client.events(4).await, [6, 7, 8, 9]);
    let beat = client.frame().await.unwrap();
    assert_eq!((beat.event.as_str(), beat.id), ("heartbeat", Some(9)));
}

#[tokio::test(start_paused = true)]
async fn cut_off_anywhere_and_resumed_the_events_are_exactly_those_of_the_feed() {
    for seed in 0..40 {
        let mut random = StdRng::seed_from_u64(seed);
        let mut service = Service::start().await;
        let (mut seen, mut last) = (Vec::new(), 0);
        service.feed(random.random_range(0..30)).await;
        while service.head < 200 || last < service.head {
            let mut client = service.open("", Some(last)).await;
            // Sometimes another client keeps the reader running.
            let other = if random.random_bool(0.5) {
                Some(service.open("", None).await)
            } else {
                None
            };
            for _ in 0..random.random_range(0..30) {
                if service.head < 200 && random.random_bool(0.3) {
                    service.feed(random.random_range(1..9)).await;
                }
                if last == service.head {
                    break;
                }
                let frame = client.frame().await.unwrap();
                last = frame.id.unwrap();
                if frame.event != "heartbeat" {
                    seen.push(last);
                }
            }
            drop((client, other));
        }
        assert_eq!(seen, (1..=service.head).collect::<Vec<_>>(), "seed {seed}");
    }
}

#[tokio::test(start_paused = true)]
async fn filters_let_through_what_is_asked_for_and_a_resume_goes_on_behind_it() {
    let mut service = Service::start().await;
    service.feed(30).await;
    let wanted = |wants: fn(&FeedRow) -> bool| -> Vec<u64> {
        (1..=30)
            .map(row)
            .filter(wants)
            .map(|row| row.position)
            .collect()
    };
    for (query, positions) in [
        (
            "?type=settlement.",
            wanted(|row| row.event_type.starts_with("settlement.")),
        ),
        (
            "?type=wallet.deposited",
            wanted(|row| row.event_type == "wallet.deposited"),
        ),
        ("?type=wallet.,settlement.created", wanted(|_| true)),
        (
            "?aggregate=settlement/1",
            wanted(|row| row.aggregate == "settlement/1"),
        ),
        (
            "?tenant=acme&type=wallet.",
            wanted(|row| row.tenant_id.is_some() && row.event_type.starts_with("wallet.")),
        ),
    ] {
        let mut client = service.open(query, Some(0)).await;
        assert_eq!(client.events(positions.len()).await, positions, "{query}");
        // The id of the next heartbeat covers the events that the filter skipped.
        assert_eq!(client.frame().await.unwrap().id, Some(30), "{query}");
    }
    let (status, problem) = service
        .refused("?typ=a.b", &[("authorization", &service.bearer())])
        .await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["violations"][0]["pointer"], "/query/typ");
}

#[tokio::test(start_paused = true)]
async fn what_is_gone_is_told_as_a_gap_and_the_stream_goes_on_live() {
    let mut service = Service::start().await;
    service.move_head(20).await;
    let mut client = service.open("", Some(4)).await;
    let gap = client.event().await.unwrap();
    assert_eq!((gap.event.as_str(), gap.id), ("gap", Some(20)));
    assert_eq!(gap.json(), json!({ "from": 5, "to": 20 }));
    service.feed(1).await;
    assert_eq!(client.events(1).await, [21]);
}

#[tokio::test(start_paused = true)]
async fn a_gap_passes_over_nothing_that_is_still_there() {
    let mut service = Service::start().await;
    for position in 11..=20 {
        service.put(&row(position)).await;
    }
    service.move_head(20).await;
    let mut client = service.open("", Some(4)).await;
    let gap = client.event().await.unwrap();
    assert_eq!((gap.event.as_str(), gap.id), ("gap", Some(10)));
    assert_eq!(gap.json(), json!({ "from": 5, "to": 10 }));
    service.feed(1).await;
    assert_eq!(client.events(11).await, (11..=21).collect::<Vec<_>>());
    let mut other = service.open("", Some(10)).await;
    assert_eq!(other.events(11).await, (11..=21).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn a_position_that_was_never_given_is_refused() {
    let mut service = Service::start().await;
    service.feed(3).await;
    for last in ["4", "x", "-1", ""] {
        let headers = [
            ("authorization", service.bearer()),
            ("last-event-id", last.to_owned()),
        ];
        let headers = headers
            .each_ref()
            .map(|(name, value)| (*name, value.as_str()));
        let (status, problem) = service.refused("", &headers).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{last:?}");
        assert_eq!(problem["violations"][0]["pointer"], "/header/last-event-id");
    }
    assert_eq!(service.hub.clients(), 0, "no place is kept");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_read_is_cut_off_and_can_come_back_without_loss() {
    let mut service = Service::start().await;
    let mut slow = service.open("", None).await;
    assert_eq!(slow.frame().await.unwrap().event, "heartbeat");
    service.feed(1).await;
    assert_eq!(slow.events(1).await, [1]);
    // Far more events than the buffer's 16, while the client reads nothing.
    service.feed(60).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let last = slow.event().await.unwrap();
    assert_eq!((last.event.as_str(), last.id), ("overrun", None));
    assert_eq!(last.json()["last_event_id"], "1");
    assert_eq!(slow.event().await, None, "it is the last event");
    drop(slow);
    let mut back = service.open("", Some(1)).await;
    assert_eq!(back.events(60).await, (2..=61).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn whoever_catches_up_for_longer_than_the_buffer_is_not_cut_off() {
    let mut service = Service::start().await;
    service.feed(40).await;
    let mut client = service.open("", Some(0)).await;
    assert_eq!(client.events(10).await, (1..=10).collect::<Vec<_>>());
    service.feed(60).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(client.events(90).await, (11..=100).collect::<Vec<_>>());
}

#[tokio::test(start_paused = true)]
async fn there_are_as_many_connections_as_there_may_be_and_a_place_comes_free() {
    let service = Service::start().await;
    let first = service.open("", None).await;
    let second = service.open("", None).await;
    let bearer = service.bearer();
    let (status, headers, _) = service
        .text("GET", STREAM, &[("authorization", &bearer)], "")
        .await;
    assert_eq!(status, StatusCode::TOO_MANY_REQUESTS);
    assert_eq!(headers["retry-after"], "5");
    drop(first);
    let third = service.open("", None).await;
    // Other keys have places of their own, up to the process's maximum.
    let mut kept = vec![second, third];
    for wanted in [
        StatusCode::OK,
        StatusCode::OK,
        StatusCode::TOO_MANY_REQUESTS,
    ] {
        let bearer = format!("Bearer {}", service.key_of(&["*"]).await);
        let (status, _, body) = service
            .send("GET", STREAM, &[("authorization", &bearer)], "")
            .await;
        assert_eq!(status, wanted);
        kept.push(Client {
            body,
            text: String::new(),
        });
    }
    drop(kept);
    assert_eq!(service.hub.clients(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_connection_ends_when_its_time_is_up_with_a_hint_when_to_come_again() {
    let mut service = Service::with(|_, times| times.life = Duration::from_secs(40)).await;
    let mut client = service.open("", None).await;
    assert_eq!(client.frame().await.unwrap().event, "heartbeat");
    service.feed(2).await;
    assert_eq!(client.events(2).await, [1, 2]);
    assert_eq!(client.frame().await.unwrap().event, "heartbeat");
    assert_eq!(client.frame().await, None);
    assert_eq!(client.text, "", "nothing is cut in half");
    service.feed(1).await;
    let mut again = service.open("", Some(2)).await;
    assert_eq!(again.events(1).await, [3]);
}

#[tokio::test(start_paused = true)]
async fn without_a_key_of_the_scope_nothing_is_told() {
    let service = Service::start().await;
    let other = format!("Bearer {}", service.key_of(&["wallets:read"]).await);
    for (headers, wanted) in [
        (vec![], 401),
        (vec![("authorization", "Bearer mr_x")], 401),
        (vec![("authorization", other.as_str())], 403),
    ] {
        assert_eq!(service.refused("", &headers).await.0, wanted);
        for (method, path) in [
            ("POST", TOKENS),
            ("GET", "/api/v1/status"),
            ("GET", "/api/v1/events/x/handled"),
        ] {
            let status = service.text(method, path, &headers, "").await.0;
            assert_eq!(status, wanted, "{path}");
        }
    }
}

async fn token(service: &Service, body: &str) -> String {
    let bearer = service.bearer();
    let (status, _, body) = service
        .text("POST", TOKENS, &[("authorization", &bearer)], body)
        .await;
    assert_eq!(status, StatusCode::CREATED, "{body}");
    let reply: Value = serde_json::from_str(&body).unwrap();
    assert_eq!(reply["expires_at"], "2026-01-01T00:10:00.000Z");
    reply["token"].as_str().unwrap().to_owned()
}

#[tokio::test(start_paused = true)]
async fn a_token_opens_a_connection_for_ten_minutes_and_nothing_else() {
    let mut service = Service::start().await;
    service.feed(9).await;
    let token = token(&service, "").await;
    let path = format!("?token={token}&last_event_id=7");
    let (status, _, body) = service
        .send("GET", &format!("{STREAM}{path}"), &[], "")
        .await;
    assert_eq!(status, StatusCode::OK);
    let mut client = Client {
        body,
        text: String::new(),
    };
    assert_eq!(client.events(2).await, [8, 9]);
    // A token's connection counts to its API key.
    let _second = service.open("", None).await;
    assert_eq!(service.refused(&path, &[]).await.0, 429);

    let bearer = format!("Bearer {token}");
    let (status, _, _) = service
        .text("GET", "/api/v1/status", &[("authorization", &bearer)], "")
        .await;
    assert_eq!(status, 401);

    let (body, signature) = token.rsplit_once('.').unwrap();
    let other = body.replacen("st1", "st2", 1);
    let mut shortened = token.clone();
    shortened.pop();
    for forged in [
        format!("{other}.{signature}"),
        format!("{body}."),
        body.to_owned(),
        shortened,
        "a.b.c".to_owned(),
        String::new(),
    ] {
        let (status, problem) = service.refused(&format!("?token={forged}"), &[]).await;
        assert_eq!(status, 401, "{forged}");
        assert!(!problem.to_string().contains(signature), "{problem}");
    }
    service.clock.advance(Duration::from_millis(599_999));
    assert_eq!(service.refused(&path, &[]).await.0, 429);
    service.clock.advance(Duration::from_millis(1));
    assert_eq!(service.refused(&path, &[]).await.0, 401);
    // A connection that the token opened continues.
    service.feed(1).await;
    assert_eq!(client.events(1).await, [10]);
}

#[tokio::test(start_paused = true)]
async fn a_token_may_be_narrower_than_its_key() {
    let mut service = Service::start().await;
    service.feed(12).await;
    let token = token(&service, r#"{"filter": {"types": ["wallet."]}}"#).await;
    let path = format!("{STREAM}?token={token}&last_event_id=0&tenant=acme");
    let (_, _, body) = service.send("GET", &path, &[], "").await;
    let mut client = Client {
        body,
        text: String::new(),
    };
    assert_eq!(client.events(2).await, [6, 12]);
    let bearer = service.bearer();
    for wrong in [
        r#"{"filter": {"types": ["wallet"]}}"#,
        r#"{"filters": {}}"#,
        "[",
        "{}x",
    ] {
        let (status, _, _) = service
            .text("POST", TOKENS, &[("authorization", &bearer)], wrong)
            .await;
        assert_eq!(status, 422, "{wrong}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hostile_payload_stays_data() {
    let mut service = Service::start().await;
    let hostile = FeedRow {
        envelope: "{\"text\":\"\\n\\nevent: overrun\\ndata: {}\\n\\n</script>\u{2028}\",\n\n\"event\":\r\"x\"}".into(),
        ..row(1)
    };
    service.put(&hostile).await;
    service.move_head(1).await;
    service.feed(1).await;
    let mut client = service.open("", Some(0)).await;
    let frame = client.event().await.unwrap();
    assert_eq!(frame.event, hostile.event_type);
    let sent: Value = serde_json::from_str(&hostile.envelope).unwrap();
    assert_eq!(frame.json(), sent);
    assert_eq!(
        client.events(1).await,
        [2],
        "no part of it became an event of its own"
    );
}

#[tokio::test]
async fn what_waits_in_the_lanes_is_shown() {
    let service = Service::start().await;
    let (status, _, body) = service
        .text(
            "GET",
            "/api/v1/status",
            &[("authorization", &service.bearer())],
            "",
        )
        .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        serde_json::from_str::<Value>(&body).unwrap(),
        json!({ "consumers": [{
            "consumer": "audit-log", "lane": "express", "depth": 3, "in_flight": 1, "letters": 3, "oldest_seconds": 42,
        }] })
    );
}

#[tokio::test]
async fn the_dashboards_files_can_run_nothing_but_themselves() {
    let service = Service::start().await;
    for (path, kind) in [
        ("/dashboard/", "text/html; charset=utf-8"),
        ("/dashboard/index.html", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
    ] {
        let (status, headers, text) = service.text("GET", path, &[], "").await;
        assert_eq!(
            (status, headers["content-type"].to_str().unwrap()),
            (StatusCode::OK, kind)
        );
        let policy = headers["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self';"),
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
        assert_eq!(service.text("GET", path, &[], "").await.0, 404, "{path}");
    }
    assert_eq!(
        service.text("GET", "/dashboard", &[], "").await.1["location"],
        "/dashboard/"
    );
}

const SAMPLE: &str = include_str!("../../../../shared/events/samples/cloud/burned-v1/full.json");

#[tokio::test]
async fn who_has_handled_an_event_is_told_by_evidence() {
    let service = Service::start().await;
    let id = Uuid::now_v7();
    let payload: Value = serde_json::from_str(SAMPLE).unwrap();
    let envelope = json!({
        "event_id": id, "event_type": "cloud.burned", "event_version": "v1", "occurred_at": "2026-01-01T00:00:00.000Z",
        "producer": "cloud-api", "correlation_id": id, "priority": "high", "aggregate_type": "cloud_account",
        "aggregate_id": "ada", "sequence": 3, "payload": payload,
    });
    let logged = json!({
        "aggregate": "cloud_account#ada", "sequence": 3, "envelope": envelope.to_string(), "event_id": id,
        "event_type": "cloud.burned", "committed_at": "2026-01-01T00:00:00.000Z",
    });
    let item = logged.as_object().unwrap().clone();
    service
        .store
        .put_all(&Table::events("events"), &[item])
        .await
        .unwrap();
    let place = Place {
        aggregate: "cloud_account#ada".into(),
        sequence: 3,
        position: 1,
        expires_at: None,
    };
    let event_id = id.to_string().parse().unwrap();
    let item = encode_item(&Place::key(&feed(), event_id), &place).unwrap();
    service.store.put_all(&feed(), &[item]).await.unwrap();

    let bearer = service.bearer();
    let headers = [("authorization", bearer.as_str())];
    let ask = async |id: String| {
        let path = format!("/api/v1/events/{id}/handled");
        let (status, _, body) = service.text("GET", &path, &headers, "").await;
        (status, serde_json::from_str::<Value>(&body).unwrap())
    };
    let (status, body) = ask(id.to_string()).await;
    assert_eq!(status, StatusCode::OK, "{body}");
    let names: Vec<&str> = body
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one["consumer"].as_str().unwrap())
        .collect();
    let listen: Vec<&str> = checked_consumers()
        .into_iter()
        .filter(|one| one.evidence("cloud.burned").is_some())
        .map(|one| one.name)
        .collect();
    assert_eq!(names, listen);
    assert!(names.contains(&"audit-log"));
    for one in body.as_array().unwrap() {
        assert_eq!(one["state"], "waiting", "{one}");
    }

    // The audit log's cursor moves past the event.
    let marks = Table::marks("marks");
    let cursor = outbox::cursor_key(&marks, "audit-log", "cloud_account#ada").unwrap();
    let item = encode_item(&cursor, &json!({ "position": 3 })).unwrap();
    service.store.put_all(&marks, &[item]).await.unwrap();
    let (_, body) = ask(id.to_string()).await;
    for one in body.as_array().unwrap() {
        let wanted = if one["consumer"] == "audit-log" {
            "handled"
        } else {
            "waiting"
        };
        assert_eq!(one["state"], wanted, "{one}");
    }
    for unknown in [Uuid::now_v7().to_string(), "x".to_owned()] {
        assert_eq!(ask(unknown).await.0, StatusCode::NOT_FOUND);
    }
}
