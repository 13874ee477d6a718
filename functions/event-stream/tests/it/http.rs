//! Tests the stream as its clients see it, over the in-memory store. Time advances when every task waits.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Keys, keys::NewKey};
use axum::{Router, body::Body};
use event_stream::{
    hub::{self, Hub},
    leases::{Leases, Limits},
    router::{App, Times, open_to_tokens, router},
};
use events::{Registry, Timestamp};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt as _;
use outbox::{Outbox, Store, Table, encode_item, memory::MemoryStore};
use rand::{Rng as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use stream_token::{Filter, Tokens};
use testkit::TestClock;
use tower::ServiceExt as _;
use views::feed::{FeedRow, Head};

pub(crate) const STREAM: &str = "/api/v1/events/stream";
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
pub(crate) struct Frame {
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
pub(crate) struct Client {
    body: Body,
    text: String,
}

impl Client {
    pub(crate) async fn frame(&mut self) -> Option<Frame> {
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

pub(crate) struct Service {
    router: Router,
    store: Arc<MemoryStore>,
    pub(crate) clock: Arc<TestClock>,
    keys: Keys,
    tokens: Tokens,
    hub: Hub,
    key: String,
    head: u64,
}

/// What a test changes about the service.
pub(crate) struct Arranged {
    pub(crate) hub: hub::Settings,
    pub(crate) times: Times,
    /// As on Lambda: the streams of the stack are counted by leases.
    pub(crate) leased: Option<Limits>,
}

impl Service {
    async fn start() -> Self {
        Self::with(|_| {}).await
    }

    pub(crate) async fn with(arrange: impl FnOnce(&mut Arranged)) -> Self {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(TestClock::new(1)));
        Self::of(store, clock, arrange).await
    }

    /// Another instance over the same tables.
    pub(crate) async fn beside(&self, arrange: impl FnOnce(&mut Arranged)) -> Self {
        Self::of(Arc::clone(&self.store), Arc::clone(&self.clock), arrange).await
    }

    async fn of(
        store: Arc<MemoryStore>,
        clock: Arc<TestClock>,
        arrange: impl FnOnce(&mut Arranged),
    ) -> Self {
        let keys = Keys::new(Arc::clone(&store) as _, Table::domain("keys"));
        let registry = Arc::new(Registry::shipped());
        let outbox = Outbox::for_guards(Arc::clone(&store) as _, Arc::clone(&clock) as _, registry);
        let mut arranged = Arranged {
            hub: hub::Settings {
                stack: "mill".into(),
                poll: Duration::from_millis(500),
                batch: 7,
                buffer: 16,
                most: 4,
                most_of_key: 2,
            },
            times: Times {
                heartbeat: Duration::from_secs(30),
                life: Duration::from_secs(900),
                margin: Duration::from_secs(5),
            },
            leased: None,
        };
        arrange(&mut arranged);
        let hub = Hub::new(outbox.clone(), feed(), arranged.hub);
        let tokens =
            Tokens::new("0123456789abcdef0123456789abcdef", Duration::from_secs(600)).unwrap();
        let leases = (arranged.leased)
            .map(|limits| Leases::new(outbox.clone(), Table::domain("leases"), limits));
        let app = App {
            outbox,
            keys: keys.clone(),
            hub: hub.clone(),
            leases,
            tokens: tokens.clone(),
            times: arranged.times,
        };
        let mut service = Self {
            router: open_to_tokens(router(app)),
            store,
            clock,
            keys,
            tokens,
            hub,
            key: String::new(),
            head: 0,
        };
        service.key = service.key_of(&["events:read"]).await;
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

    pub(crate) async fn send(
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

    pub(crate) fn bearer(&self) -> String {
        format!("Bearer {}", self.key)
    }

    pub(crate) async fn open(&self, query: &str, last: Option<u64>) -> Client {
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

    pub(crate) async fn refused(
        &self,
        query: &str,
        headers: &[(&str, &str)],
    ) -> (StatusCode, Value) {
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
    let mut service = Service::with(|arranged| arranged.times.life = Duration::from_secs(40)).await;
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
    }
}

/// A token of the service's key, as `dashboard` issues it.
async fn token(service: &Service, filter: Filter) -> String {
    let bearer = service.bearer().parse().unwrap();
    let headers = HeaderMap::from_iter([(http::header::AUTHORIZATION, bearer)]);
    let caller = api::authenticate(&service.keys, "events:read", &headers).await;
    let now = outbox::Clock::now(&*service.clock);
    let issued = service.tokens.issue(&caller.unwrap(), filter, now).unwrap();
    assert_eq!(issued.1.to_string(), "2026-01-01T00:10:00.000Z");
    issued.0
}

#[tokio::test(start_paused = true)]
async fn a_token_opens_a_connection_for_ten_minutes_and_nothing_else() {
    let mut service = Service::start().await;
    service.feed(9).await;
    let token = token(&service, Filter::default()).await;
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

    // It is no API key.
    let bearer = format!("Bearer {token}");
    let refused = service.refused("", &[("authorization", &bearer)]).await;
    assert_eq!(refused.0, 401);

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
    let wallet = Filter {
        types: vec!["wallet.".into()],
        ..Filter::default()
    };
    let token = token(&service, wallet).await;
    let path = format!("{STREAM}?token={token}&last_event_id=0&tenant=acme");
    let (_, _, body) = service.send("GET", &path, &[], "").await;
    let mut client = Client {
        body,
        text: String::new(),
    };
    assert_eq!(client.events(2).await, [6, 12]);
}

#[tokio::test(start_paused = true)]
async fn a_page_of_any_origin_may_read_what_a_token_opens_and_nothing_else() {
    let service = Service::start().await;
    let good = token(&service, Filter::default()).await;
    let evil = ("origin", "https://evil.example");
    let bearer = service.bearer();
    for (query, headers, allowed) in [
        (format!("?token={good}"), vec![evil], true),
        // So that the page can tell why it was refused.
        ("?token=x".to_owned(), vec![evil], true),
        (String::new(), vec![evil, ("authorization", &bearer)], false),
        ("?last_event_id=token".to_owned(), vec![evil], false),
    ] {
        let path = format!("{STREAM}{query}");
        let (_, headers, _) = service.send("GET", &path, &headers, "").await;
        let origin = headers.get("access-control-allow-origin");
        assert_eq!(
            origin.map(|value| value.as_bytes()),
            allowed.then_some(&b"*"[..]),
            "{query}"
        );
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

#[tokio::test(start_paused = true)]
async fn it_serves_the_stream_and_nothing_else() {
    let service = Service::start().await;
    for (path, wanted) in [
        ("/health", StatusCode::NO_CONTENT),
        ("/dashboard/", StatusCode::NOT_FOUND),
        ("/api/v1/status", StatusCode::NOT_FOUND),
        ("/api/v1/events", StatusCode::NOT_FOUND),
    ] {
        assert_eq!(service.text("GET", path, &[], "").await.0, wanted, "{path}");
    }
}
