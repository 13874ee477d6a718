//! The HTTP layer as a caller sees it: a small purse service over the in-memory store.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU32, Ordering},
    },
    time::Duration,
};

use api::{
    Command, Created, Decision, Doc, Keys, NoContent, Page, PageQuery, Path, PositiveInput,
    Problem, Query, Reply, Routes, State, keys::NewKey,
};
use axum::{Router, body::Body};
use events::{Cloud, Credits, MemberId, Registry, Timestamp};
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use outbox::{Outbox, RetryLimits, SystemClock, Table, memory::MemoryStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tower::ServiceExt as _;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Purse {
    balance: Credits,
}

impl outbox::State for Purse {
    const AGGREGATE: &'static str = "purse";
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Pay {
    member_id: MemberId,
    amount: PositiveInput<Cloud>,
    #[serde(default)]
    options: Option<Options>,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct Options {
    #[serde(default)]
    note: Option<events::Text<10>>,
}

#[derive(Debug, Serialize, JsonSchema)]
struct Paid {
    balance_after: Credits,
}

#[derive(Debug, Deserialize, JsonSchema)]
struct MemberPath {
    member_id: MemberId,
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct NumberRow {
    number: u64,
}

struct App {
    outbox: Outbox,
    table: Table,
    store: Arc<MemoryStore>,
    steal: AtomicBool,
    decided: AtomicU32,
}

type Shared = State<Arc<App>>;

/// Pays from a purse. A new purse holds 10.
async fn pay(State(app): Shared, command: Command<Pay>) -> Result<Created<Paid>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let options = body
            .options
            .as_ref()
            .and_then(|options| options.note.as_ref());
        app.decided.fetch_add(1, Ordering::SeqCst);
        let purse = app
            .outbox
            .load::<Purse>(&app.table, body.member_id.as_str())
            .await?;
        let balance = purse
            .state()
            .map_or_else(|| "10".parse(), |purse| Ok(purse.balance))?;
        if app.steal.load(Ordering::SeqCst) {
            // Another writer changes the purse between our read and our commit, every time.
            let mark = outbox::Mark::Episode {
                name: "thief",
                number: u64::from(app.decided.load(Ordering::SeqCst)),
                phase: "opened",
            };
            let mut theft = app.outbox.begin(&mark, &events::Cause::default());
            theft.update(&purse, &Purse { balance }, vec![])?;
            let theft = std::sync::Mutex::new(Some(theft));
            app.outbox
                .execute::<(), (), outbox::Error, _, _>(&mark, &events::Cause::default(), |_| {
                    let theft = theft.lock().unwrap().take().unwrap();
                    async { Ok(Decision::Commit(theft, ())) }
                })
                .await?;
        }
        let Ok(balance) = balance.minus(body.amount.amount()) else {
            return Ok(Decision::Refuse(
                Problem::conflict("insufficient-balance", "The balance is not enough")
                    .with("balance", balance.to_string()),
            ));
        };
        assert!(
            options.is_none_or(|note| note.as_str() != "panic"),
            "asked to panic"
        );
        transaction.update(&purse, &Purse { balance }, vec![])?;
        Ok(Decision::Commit(
            transaction,
            Paid {
                balance_after: balance,
            },
        ))
    })
    .await
}

async fn entries(
    State(app): Shared,
    Path(path): Path<MemberPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<NumberRow>>, Problem> {
    let query = outbox::Query::partition(&app.table, format!("entries#{}", path.member_id), 0);
    let query = page.apply(query)?;
    let (rows, next) = app.outbox.rows::<NumberRow>(&query).await?;
    Reply::of(&Page::of(&query, rows, next.as_ref()))
}

async fn forget() -> NoContent {
    NoContent
}

async fn about() -> Result<Reply<NumberRow>, Problem> {
    Reply::of(&NumberRow { number: 1 })
}

fn routes() -> Routes<Arc<App>> {
    Routes::new("purse-api")
        .post(
            "/api/v1/purses/payments",
            pay,
            Doc::new("Pay").problem(409, "The balance is not enough."),
        )
        .get(
            "/api/v1/purses/{member_id}/entries",
            entries,
            Doc::new("List entries"),
        )
        .delete(
            "/api/v1/purses/{member_id}",
            forget,
            Doc::new("Forget a purse"),
        )
        .get("/about", about, Doc::new("About").open())
}

struct Service {
    router: Router,
    app: Arc<App>,
    keys: Keys,
    key: String,
}

impl Service {
    async fn start() -> Self {
        let store = Arc::new(MemoryStore::new());
        let keys = Keys::new(
            Arc::clone(&store) as Arc<dyn outbox::Store>,
            Table::domain("keys"),
        );
        let outbox = Outbox::new(
            Arc::clone(&store) as Arc<dyn outbox::Store>,
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        )
        .with_limits(RetryLimits {
            base: Duration::from_millis(1),
            cap: Duration::from_millis(1),
            ..RetryLimits::default()
        });
        let app = Arc::new(App {
            outbox,
            table: Table::domain("purses"),
            store,
            steal: AtomicBool::new(false),
            decided: AtomicU32::new(0),
        });
        let router = routes().router(Arc::clone(&app), &keys);
        let mut service = Self {
            router,
            app,
            keys,
            key: String::new(),
        };
        service.key = service.key_of("billing", &["*"]).await;
        service
    }

    async fn key_of(&self, owner: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate(owner.parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        self.keys.create(&SystemClock, &key).await.unwrap();
        key.text().to_owned()
    }

    fn request(&self, method: Method, path: &str) -> http::request::Builder {
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", format!("Bearer {}", self.key))
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let answer = Answer {
            status: parts.status,
            headers: parts.headers,
            body: if bytes.is_empty() {
                Value::Null
            } else {
                serde_json::from_slice(&bytes).unwrap()
            },
        };
        if !answer.status.is_success() {
            assert_eq!(answer.header("content-type"), "application/problem+json");
            assert_eq!(answer.body["status"], answer.status.as_u16());
            assert!(
                answer.body["type"]
                    .as_str()
                    .unwrap()
                    .starts_with("urn:millrace:problem:")
            );
            assert!(answer.body["title"].is_string());
        }
        answer
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path).body(Body::empty()).unwrap())
            .await
    }

    async fn pay(&self, key: &str, body: &Value) -> Answer {
        self.pay_text(key, body.to_string()).await
    }

    async fn pay_text(&self, key: &str, body: impl Into<Body>) -> Answer {
        let request = self
            .request(Method::POST, "/api/v1/purses/payments")
            .header("idempotency-key", key)
            .body(body.into())
            .unwrap();
        self.send(request).await
    }
}

#[derive(Debug)]
struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

impl Answer {
    fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }

    fn problem(&self) -> &str {
        self.body["type"]
            .as_str()
            .unwrap()
            .strip_prefix("urn:millrace:problem:")
            .unwrap()
    }

    fn pointers(&self) -> Vec<&str> {
        self.body["violations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|violation| violation["pointer"].as_str().unwrap())
            .collect()
    }
}

#[tokio::test]
async fn a_request_without_a_known_key_is_refused_with_a_challenge() {
    let service = Service::start().await;
    let other = format!("{}0", &service.key[..service.key.len() - 1]);
    for value in [
        "",
        "Bearer",
        "Bearer ",
        "Basic abc",
        "Bearer nonsense",
        &format!("Bearer {other}x"),
        &service.key,
    ] {
        let request = Request::get("/api/v1/purses/m/entries").header("authorization", value);
        let answer = service.send(request.body(Body::empty()).unwrap()).await;
        assert_eq!(answer.status, 401, "{value}");
        assert!(answer.header("www-authenticate").starts_with("Bearer"));
    }
    let request = Request::get("/api/v1/purses/m/entries")
        .body(Body::empty())
        .unwrap();
    assert_eq!(service.send(request).await.status, 401);
    assert_eq!(service.get("/api/v1/purses/m/entries").await.status, 200);
}

#[tokio::test]
async fn a_deleted_key_stops_with_the_next_request() {
    let service = Service::start().await;
    assert_eq!(service.get("/api/v1/purses/m/entries").await.status, 200);
    let key_id = service.key.split('_').nth(1).unwrap();
    service.keys.delete(&SystemClock, key_id).await.unwrap();
    assert_eq!(service.get("/api/v1/purses/m/entries").await.status, 401);
}

#[tokio::test]
async fn a_missing_scope_is_named_and_nothing_is_done() {
    let mut service = Service::start().await;
    service.key = service
        .key_of("reader", &["purses:read", "cloud:write"])
        .await;
    assert_eq!(service.get("/api/v1/purses/m/entries").await.status, 200);
    let answer = service
        .pay("k", &json!({ "member_id": "m", "amount": 1 }))
        .await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.problem(), "missing-scope");
    assert_eq!(answer.body["scope"], "purses:write");
    assert_eq!(service.app.decided.load(Ordering::SeqCst), 0);
    service.key = service.key_of("writer", &["purses:write"]).await;
    assert_eq!(
        service.get("/api/v1/purses/m/entries").await.status,
        403,
        "write does not include read"
    );
}

#[tokio::test]
async fn an_open_route_needs_no_key() {
    let service = Service::start().await;
    let answer = service
        .send(Request::get("/about").body(Body::empty()).unwrap())
        .await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::OK, json!({ "number": 1 }))
    );
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_even_after_the_balance_was_spent() {
    let service = Service::start().await;
    let body = json!({ "member_id": "m", "amount": "7.5" });
    let first = service.pay("first", &body).await;
    assert_eq!(
        (first.status, &first.body),
        (StatusCode::CREATED, &json!({ "balance_after": 2.5 }))
    );
    assert_eq!(first.header("idempotency-replayed"), "");
    let refused = service.pay("second", &body).await;
    assert_eq!(
        (refused.status, refused.problem()),
        (StatusCode::CONFLICT, "insufficient-balance")
    );
    assert_eq!(refused.body["balance"], "2.50");
    let again = service.pay("first", &body).await;
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    assert_eq!(again.header("idempotency-replayed"), "true");
    let purse = service
        .app
        .outbox
        .load::<Purse>(&service.app.table, "m")
        .await
        .unwrap();
    assert_eq!(purse.version(), 1, "paid once");
}

#[tokio::test]
async fn a_refused_request_may_be_sent_again_under_its_key() {
    let service = Service::start().await;
    let body = json!({ "member_id": "m", "amount": 11 });
    assert_eq!(service.pay("k", &body).await.status, 409);
    assert_eq!(service.pay("k", &body).await.status, 409);
    let smaller = json!({ "member_id": "m", "amount": 1 });
    assert_eq!(
        service.pay("k", &smaller).await.status,
        201,
        "a refusal leaves no mark"
    );
}

#[tokio::test]
async fn a_key_used_with_another_body_is_refused_and_changes_nothing() {
    let service = Service::start().await;
    assert_eq!(
        service
            .pay("k", &json!({ "member_id": "m", "amount": 1 }))
            .await
            .status,
        201
    );
    for other in [
        json!({ "member_id": "m", "amount": 2 }),
        json!({ "member_id": "m", "amount": 100 }),
    ] {
        let answer = service.pay("k", &other).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused")
        );
    }
    let purse = service
        .app
        .outbox
        .load::<Purse>(&service.app.table, "m")
        .await
        .unwrap();
    assert_eq!(purse.version(), 1);
}

#[tokio::test]
async fn a_key_belongs_to_its_owner_and_all_keys_of_the_owner() {
    let mut service = Service::start().await;
    let body = json!({ "member_id": "m", "amount": 1 });
    assert_eq!(
        service.pay("k", &body).await.body,
        json!({ "balance_after": 9 })
    );
    service.key = service.key_of("billing", &["purses:write"]).await;
    assert_eq!(
        service.pay("k", &body).await.body,
        json!({ "balance_after": 9 })
    );
    service.key = service.key_of("somebody-else", &["purses:write"]).await;
    assert_eq!(
        service.pay("k", &body).await.body,
        json!({ "balance_after": 8 })
    );
}

#[tokio::test]
async fn every_command_needs_a_well_formed_idempotency_key() {
    let service = Service::start().await;
    let long = "k".repeat(256);
    for key in ["", "with space", "tab\t", &long] {
        let answer = service
            .pay(key, &json!({ "member_id": "m", "amount": 1 }))
            .await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "idempotency-key-required"),
            "{key:?}"
        );
        assert_eq!(answer.pointers(), ["/header/idempotency-key"]);
    }
    let bare = service
        .request(Method::POST, "/api/v1/purses/payments")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        service.send(bare).await.problem(),
        "idempotency-key-required"
    );
    let twice = service
        .request(Method::POST, "/api/v1/purses/payments")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b")
        .body(Body::from("{}"))
        .unwrap();
    assert_eq!(
        service.send(twice).await.problem(),
        "idempotency-key-required"
    );
    let longest = "k".repeat(255);
    assert_eq!(
        service
            .pay(&longest, &json!({ "member_id": "m", "amount": 1 }))
            .await
            .status,
        201
    );
    assert_eq!(service.app.decided.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn broken_json_is_400_and_wrong_json_422_with_every_violation() {
    let service = Service::start().await;
    for text in [
        "{",
        " ",
        "nonsense",
        "{\"member_id\": \"m\", \"amount\": 1",
        "{} {}",
    ] {
        let answer = service.pay_text("k", text).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "malformed-json"),
            "{text}"
        );
    }
    // A request without a body is an empty command, so its missing fields are reported.
    let nothing = service.pay_text("k", "").await;
    assert_eq!(nothing.status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(
        nothing.pointers(),
        service.pay_text("k", "{}").await.pointers()
    );
    let answer = service
        .pay("k", &json!({ "member_id": "#", "amount": "0.0000001", "extra": 1, "options": { "note": "", "more": 2 } }))
        .await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request")
    );
    let mut pointers = answer.pointers();
    pointers.dedup();
    assert_eq!(
        pointers,
        [
            "/amount",
            "/extra",
            "/member_id",
            "/options/more",
            "/options/note"
        ]
    );
    assert_eq!(
        service.pay("k", &json!({})).await.pointers(),
        ["/amount", "/member_id"]
    );
    assert_eq!(service.pay("k", &json!([])).await.status, 422);
    let twice = service
        .pay_text("k", r#"{"member_id":"m","amount":1,"amount":2}"#)
        .await;
    assert_eq!(
        twice.status, 422,
        "a field written twice is not silently the last one"
    );
    assert_eq!(
        service
            .pay("k", &json!({ "member_id": "m", "amount": 0 }))
            .await
            .pointers(),
        ["/amount"]
    );
}

#[tokio::test]
async fn a_body_of_256_kb_passes_and_one_byte_more_does_not() {
    let service = Service::start().await;
    let body = json!({ "member_id": "m", "amount": 1 }).to_string();
    let padded = |bytes: usize| format!("{body}{}", " ".repeat(bytes - body.len()));
    assert_eq!(
        service.pay_text("fits", padded(256 * 1024)).await.status,
        201
    );
    let answer = service.pay_text("over", padded(256 * 1024 + 1)).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::PAYLOAD_TOO_LARGE, "body-too-large")
    );
}

#[tokio::test]
async fn unknown_paths_and_methods_are_problems_too() {
    let service = Service::start().await;
    let answer = service.get("/api/v1/nowhere").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::NOT_FOUND, "unknown-path")
    );
    let wrong = service
        .request(Method::PUT, "/api/v1/purses/payments")
        .body(Body::empty())
        .unwrap();
    let answer = service.send(wrong).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed")
    );
    assert_eq!(answer.header("allow"), "POST");
}

#[tokio::test]
async fn contention_is_503_and_the_same_key_works_afterwards() {
    let service = Service::start().await;
    let body = json!({ "member_id": "m", "amount": 1 });
    service.app.steal.store(true, Ordering::SeqCst);
    let answer = service.pay("k", &body).await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::SERVICE_UNAVAILABLE, "contention")
    );
    assert_eq!(answer.header("retry-after"), "5");
    assert_eq!(answer.body["retry_after"], 5);
    assert!(
        service.app.decided.load(Ordering::SeqCst) > 1,
        "decided again before giving up"
    );
    service.app.steal.store(false, Ordering::SeqCst);
    let answer = service.pay("k", &body).await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::CREATED, json!({ "balance_after": 9 }))
    );
}

/// A store that is unreachable.
struct Down;

fn down() -> outbox::Fault {
    outbox::Fault::new(
        outbox::FaultKind::Unavailable,
        "dynamodb",
        "10.0.0.7 refused the connection",
    )
}

#[async_trait::async_trait]
impl outbox::Store for Down {
    async fn get(&self, _: &outbox::Key) -> Result<Option<outbox::Item>, outbox::Fault> {
        Err(down())
    }
    async fn get_many(
        &self,
        _: &[outbox::Key],
    ) -> Result<Vec<Option<outbox::Item>>, outbox::Fault> {
        Err(down())
    }
    async fn query(&self, _: &outbox::Query) -> Result<outbox::Page, outbox::Fault> {
        Err(down())
    }
    async fn scan(&self, _: &outbox::Scan) -> Result<outbox::Page, outbox::Fault> {
        Err(down())
    }
    async fn commit(&self, _: &outbox::Prepared) -> Result<(), outbox::CommitError> {
        Err(outbox::CommitError::NotWritten(down()))
    }
    async fn put_guarded(&self, _: &outbox::GuardedPut) -> Result<outbox::Guarded, outbox::Fault> {
        Err(down())
    }
    async fn put_all(&self, _: &Table, _: &[outbox::Item]) -> Result<(), outbox::Fault> {
        Err(down())
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_503_without_internals() {
    let mut service = Service::start().await;
    let keys = Keys::new(Arc::new(Down), Table::domain("keys"));
    service.router = routes().router(Arc::clone(&service.app), &keys);
    let answer = service.get("/api/v1/purses/m/entries").await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::SERVICE_UNAVAILABLE, "unavailable")
    );
    assert!(!answer.header("retry-after").is_empty());
    assert!(!answer.body.to_string().contains("10.0.0.7"));
}

#[tokio::test]
async fn a_panic_is_answered_and_costs_nothing_but_its_own_request() {
    let service = Service::start().await;
    let answer = service
        .pay(
            "k",
            &json!({ "member_id": "m", "amount": 1, "options": { "note": "panic" } }),
        )
        .await;
    assert_eq!(
        (answer.status, answer.problem()),
        (StatusCode::INTERNAL_SERVER_ERROR, "internal")
    );
    assert!(
        !answer.body.to_string().contains("asked"),
        "internals stay inside"
    );
    assert_eq!(
        service
            .pay("l", &json!({ "member_id": "m", "amount": 1 }))
            .await
            .status,
        201
    );
}

#[tokio::test]
async fn a_list_is_walked_to_its_end_by_cursors_and_a_wrong_cursor_is_named() {
    let service = Service::start().await;
    let store = &service.app.store;
    for number in 0..5_u64 {
        let key = service.app.table.key("entries#m", format!("{number:05}"));
        let item = outbox::encode_item(&key, &NumberRow { number }).unwrap();
        outbox::Store::put_all(&**store, &service.app.table, &[item])
            .await
            .unwrap();
    }
    let mut seen = Vec::new();
    let mut path = "/api/v1/purses/m/entries?limit=2".to_owned();
    loop {
        let answer = service.get(&path).await;
        assert_eq!(answer.status, 200);
        let items = answer.body["items"].as_array().unwrap();
        assert!(items.len() <= 2);
        seen.extend(items.iter().map(|item| item["number"].as_u64().unwrap()));
        match answer.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/purses/m/entries?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen, [0, 1, 2, 3, 4]);
    let first = service.get("/api/v1/purses/m/entries?limit=2").await;
    let cursor = first.body["next_cursor"].as_str().unwrap();
    for path in [
        format!("/api/v1/purses/other/entries?cursor={cursor}"),
        "/api/v1/purses/m/entries?cursor=garbage".to_owned(),
        "/api/v1/purses/m/entries?cursor=".to_owned(),
    ] {
        let answer = service.get(&path).await;
        assert_eq!(
            (answer.status, answer.pointers()),
            (StatusCode::BAD_REQUEST, vec!["/query/cursor"]),
            "{path}"
        );
    }
}

#[tokio::test]
async fn wrong_parameters_are_all_named() {
    let service = Service::start().await;
    for (query, pointers) in [
        ("limit=0", vec!["/query/limit"]),
        ("limit=101", vec!["/query/limit"]),
        ("limit=ten", vec!["/query/limit"]),
        ("limit=-1&page=2", vec!["/query/limit", "/query/page"]),
        ("limit=1&limit=2", vec!["/query/limit"]),
    ] {
        let answer = service
            .get(&format!("/api/v1/purses/m/entries?{query}"))
            .await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "invalid-parameter"),
            "{query}"
        );
        assert_eq!(answer.pointers(), pointers, "{query}");
    }
    let answer = service.get("/api/v1/purses/%23bad/entries").await;
    assert_eq!(
        (answer.status, answer.pointers()),
        (StatusCode::BAD_REQUEST, vec!["/path/member_id"])
    );
}

#[tokio::test]
async fn a_delete_answers_with_no_content() {
    let service = Service::start().await;
    let request = service
        .request(Method::DELETE, "/api/v1/purses/m")
        .body(Body::empty())
        .unwrap();
    let answer = service.send(request).await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::NO_CONTENT, Value::Null)
    );
}

#[test]
fn the_document_says_what_the_handlers_take_and_give() {
    let document = routes().openapi();
    let pay = &document["paths"]["/api/v1/purses/payments"]["post"];
    assert_eq!(
        pay["requestBody"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Pay"
    );
    assert_eq!(
        document["components"]["schemas"]["Pay"]["additionalProperties"],
        false
    );
    assert_eq!(
        pay["responses"]["201"]["content"]["application/json"]["schema"]["$ref"],
        "#/components/schemas/Paid"
    );
    let mut statuses: Vec<&String> = pay["responses"].as_object().unwrap().keys().collect();
    statuses.sort();
    assert_eq!(
        statuses,
        ["201", "400", "401", "403", "409", "413", "422", "503"]
    );
    assert!(
        pay["description"]
            .as_str()
            .unwrap()
            .contains("purses:write")
    );
    let list = &document["paths"]["/api/v1/purses/{member_id}/entries"]["get"];
    let parameters: Vec<(&str, &str, bool)> = list["parameters"]
        .as_array()
        .unwrap()
        .iter()
        .map(|parameter| {
            (
                parameter["name"].as_str().unwrap(),
                parameter["in"].as_str().unwrap(),
                parameter["required"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        parameters,
        [
            ("member_id", "path", true),
            ("cursor", "query", false),
            ("limit", "query", false)
        ]
    );
    assert_eq!(document["paths"]["/about"]["get"]["security"], json!([]));
}

#[test]
fn the_document_says_which_command_needs_a_body() {
    async fn annotate(_: Command<Options>) -> Result<Created<Paid>, Problem> {
        Err(Problem::not_found("no such purse"))
    }
    let document = Routes::<Arc<App>>::new("purses")
        .post("/api/v1/purses/payments", pay, Doc::new("Pay"))
        .post("/api/v1/purses/notes", annotate, Doc::new("Annotate"))
        .openapi();
    let needs_one = |path: &str| document["paths"][path]["post"]["requestBody"]["required"] == true;
    assert!(needs_one("/api/v1/purses/payments"));
    assert!(!needs_one("/api/v1/purses/notes"));
}

/// What API Gateway sends for a REST API with proxy integration, in the documented form.
const REST_PROXY_EVENT: &str = include_str!("fixtures/rest_proxy_event.json");

/// The events go through `lambda_http`'s own conversion, as in `api::run`, with the variable that the template sets.
/// The test starts itself again as a child process, because a test must not change its own environment.
#[test]
fn a_rest_proxy_event_reaches_its_handler_as_it_was_sent() {
    const SETTING: &str = "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH";
    if setting(SETTING).is_none() {
        let myself = std::env::current_exe().unwrap();
        let output = std::process::Command::new(myself)
            .args([
                "--exact",
                "a_rest_proxy_event_reaches_its_handler_as_it_was_sent",
            ])
            .env(SETTING, "true")
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && printed.contains("1 passed"),
            "{printed}"
        );
        return;
    }
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap()
        .block_on(rest_proxy_event());
}

#[expect(
    clippy::disallowed_methods,
    reason = "tells whether this is the test started again"
)]
fn setting(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

async fn rest_proxy_event() {
    let service = Service::start().await;
    let send = async |event: &Value| {
        let request = lambda_http::request::from_str(&event.to_string()).unwrap();
        let (parts, body) = request.into_parts();
        service
            .send(Request::from_parts(parts, Body::new(body)))
            .await
    };
    let mut event: Value =
        serde_json::from_str(&REST_PROXY_EVENT.replace("<key>", &service.key)).unwrap();
    let first = send(&event).await;
    assert_eq!(
        (first.status, &first.body),
        (StatusCode::CREATED, &json!({ "balance_after": 7.5 }))
    );
    assert_eq!(
        first.header("x-correlation-id"),
        "0190a6c2-5a11-7cc3-98c4-dc0c0c07398f"
    );

    // The same bytes in base64 are the same request.
    let text = event["body"].as_str().unwrap().to_owned();
    event["body"] = base64::Engine::encode(&base64::engine::general_purpose::STANDARD, text).into();
    event["isBase64Encoded"] = true.into();
    let again = send(&event).await;
    assert_eq!(
        (again.status, again.header("idempotency-replayed")),
        (StatusCode::CREATED, "true")
    );

    event["body"] = Value::Null;
    event["isBase64Encoded"] = false.into();
    event["httpMethod"] = "GET".into();
    event["path"] = "/api/v1/purses/a%3Ab/entries".into();
    event["queryStringParameters"] = json!({ "limit": "2", "cursor": "a+b c&limit=3" });
    event["multiValueQueryStringParameters"] =
        json!({ "limit": ["2"], "cursor": ["a+b c&limit=3"] });
    let answer = send(&event).await;
    assert_eq!(answer.status, 400);
    assert_eq!(
        answer.pointers(),
        ["/query/cursor"],
        "values arrive whole, whatever stands in them"
    );
    event["queryStringParameters"] = json!({ "limit": "2" });
    event["multiValueQueryStringParameters"] = json!({ "limit": ["2"] });
    let answer = send(&event).await;
    assert_eq!(
        (answer.status, answer.body),
        (StatusCode::OK, json!({ "items": [], "next_cursor": null }))
    );
}

#[tokio::test]
async fn events_carry_the_callers_chain_trace_and_origin() {
    let service = Service::start().await;
    let text = REST_PROXY_EVENT.replace("<key>", &service.key);
    let mut event: Value = serde_json::from_str(&text).unwrap();
    // Without a stage in the path there is nothing to strip.
    event["requestContext"]["stage"] = "$default".into();
    let request = lambda_http::request::from_str(&event.to_string()).unwrap();
    let caller = service.keys.verify(&service.key).await.unwrap().unwrap();
    let (mut parts, body) = request.into_parts();
    parts.extensions.insert(caller);
    let request = Request::from_parts(parts, Body::new(body));
    let command: Command<Pay> =
        <Command<Pay> as axum::extract::FromRequest<()>>::from_request(request, &())
            .await
            .unwrap();
    let cause = command.cause();
    assert_eq!(
        cause.correlation_id.unwrap().to_string(),
        "0190a6c2-5a11-7cc3-98c4-dc0c0c07398f"
    );
    assert_eq!(
        cause.trace_id.as_ref().unwrap().to_string(),
        "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01"
    );
    let metadata = cause.metadata.as_ref().unwrap();
    assert_eq!(
        metadata.ip_address.as_ref().unwrap().as_str(),
        "203.0.113.9",
        "as the gateway saw it"
    );
    assert_eq!(
        metadata.user_agent.as_ref().unwrap().as_str(),
        "billing/2.4"
    );
    assert_eq!(metadata.other["api_key_owner"], "billing");
    let outbox::Mark::Request {
        owner,
        method,
        path,
        key,
        body_sha256,
    } = command.mark()
    else {
        panic!("a request's mark");
    };
    assert_eq!(
        (owner.as_str(), method.as_str(), path.as_str(), key.as_str()),
        ("billing", "POST", "/api/v1/purses/payments", "order-7781")
    );
    assert_eq!(
        *body_sha256,
        outbox::Mark::body_sha256(event["body"].as_str().unwrap().as_bytes())
    );
}

#[tokio::test]
async fn for_whom_a_caller_acts_stands_in_the_metadata_and_a_bad_header_is_named() {
    let service = Service::start().await;
    let caller = service.keys.verify(&service.key).await.unwrap().unwrap();
    let read = |headers: Vec<(&'static str, String)>| {
        let mut request = Request::post("/api/v1/pays").header("Idempotency-Key", "k");
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let mut request = request.body(Body::from(r#"{"amount":1}"#)).unwrap();
        request.extensions_mut().insert(caller.clone());
        <Command<Value> as axum::extract::FromRequest<()>>::from_request(request, &())
    };
    let said = |name| vec![(name, "acme".to_owned())];
    let metadata = |command: Command<Value>| command.cause().metadata.clone().unwrap();
    let none = metadata(read(Vec::new()).await.unwrap());
    assert_eq!(
        (none.user_id, none.session_id, none.tenant_id),
        (None, None, None)
    );
    let acme = |text: Option<events::Text<256>>| text.unwrap().as_str() == "acme";
    assert!(acme(
        metadata(read(said("X-User-Id")).await.unwrap()).user_id
    ));
    assert!(acme(
        metadata(read(said("X-Session-Id")).await.unwrap()).session_id
    ));
    assert!(acme(
        metadata(read(said("X-Tenant-Id")).await.unwrap()).tenant_id
    ));
    for (name, value) in [
        ("x-tenant-id", String::new()),
        ("x-tenant-id", "a".repeat(257)),
        ("x-correlation-id", "order-7781".to_owned()),
    ] {
        let refused = read(vec![(name, value)]).await.unwrap_err();
        let refused = axum::response::IntoResponse::into_response(refused);
        assert_eq!(refused.status(), 400);
        let body = refused.into_body().collect().await.unwrap().to_bytes();
        let refused: Value = serde_json::from_slice(&body).unwrap();
        let pointer = format!("/header/{name}");
        assert_eq!(refused["violations"][0]["pointer"], pointer);
    }
    let twice = vec![("X-User-Id", "a".to_owned()), ("X-User-Id", "b".to_owned())];
    assert!(read(twice).await.is_err());
}
