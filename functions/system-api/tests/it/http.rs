//! Tests the function as its callers see it, over the in-memory store.

use std::{
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use api::{Keys, keys::NewKey};
use async_trait::async_trait;
use axum::{Router, body::Body};
use events::{
    Cause, Credits, Draft, Envelope, LoanId, MemberId, PaymentId, Registry, Text, Timestamp,
    contracts::{
        cloud::{Minted, Primitive},
        payment::Currency,
    },
};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::BodyExt as _;
use loan::operations::{Loans, Stopped};
use outbox::{
    Clock as _, Decision, Fault, FaultKind, Mark, Outbox, State, Store, SystemClock, Table,
    Transaction, env::Env, memory::MemoryStore,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use settlement::{
    Payment,
    payment::{Create, PaymentChange},
};
use system_api::{
    health::{Health, Probe},
    router::{self, App},
    witness::DomainTables,
};
use tower::ServiceExt as _;
use uuid::Uuid;
use views::analytics::{Direction, Fact};

struct Up;

#[async_trait]
impl Probe for Up {
    async fn ask(&self) -> Result<(), Fault> {
        Ok(())
    }
}

struct Refusing;

#[async_trait]
impl Probe for Refusing {
    async fn ask(&self) -> Result<(), Fault> {
        Err(Fault::new(
            FaultKind::Denied,
            "sqs GetQueueAttributes",
            "queue at 10.0.0.7 denied",
        ))
    }
}

struct Silent;

#[async_trait]
impl Probe for Silent {
    async fn ask(&self) -> Result<(), Fault> {
        std::future::pending().await
    }
}

/// Every domain is deployed; each table has the name of its domain.
fn tables() -> DomainTables {
    let tables = domains::ALL.iter().map(|one| (one.table_setting, one.name));
    DomainTables::from_env(&Env::of(tables))
}

pub(crate) struct Service {
    router: Router,
    pub(crate) outbox: Outbox,
    keys: Keys,
    pub(crate) key: String,
}

pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) text: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

impl Service {
    pub(crate) async fn with(health: Health) -> Self {
        Self::of(health, Registry::shipped()).await
    }

    /// Starts the service with its own contracts.
    pub(crate) async fn of(health: Health, registry: Registry) -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let keys = Keys::new(Arc::clone(&store), Table::domain("keys"));
        let outbox = Outbox::new(
            store,
            Arc::new(SystemClock),
            Arc::new(registry),
            Table::events("events"),
            Table::marks("marks"),
        );
        let app = App::new(
            outbox.clone(),
            keys.clone(),
            system_api::router::SystemTables {
                analytics: Table::domain("analytics"),
                feed: Table::domain("feed"),
                evidence: evidence::EvidenceTables::new(Table::marks("marks")),
                domains: tables(),
            },
            health,
            topology::Deployment::whole(),
        )
        .unwrap();
        let mut service = Self {
            router: router::router(app),
            outbox,
            keys,
            key: String::new(),
        };
        service.key = service.key_of(&["*"]).await;
        service
    }

    pub(crate) async fn start() -> Self {
        Self::with(Health::new().with("dynamodb", Up)).await
    }

    pub(crate) async fn key_of(&self, scopes: &[&str]) -> String {
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate("ops".parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        self.keys.create(&SystemClock, &key).await.unwrap();
        key.text().to_owned()
    }

    pub(crate) async fn send(
        &self,
        method: Method,
        path: &str,
        key: Option<&str>,
        idempotency: &str,
        body: &str,
    ) -> Answer {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(key) = key {
            request = request.header("authorization", format!("Bearer {key}"));
        }
        if !idempotency.is_empty() {
            request = request.header("idempotency-key", idempotency);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        self.answer(request).await
    }

    async fn answer(&self, request: Request<Body>) -> Answer {
        let Ok(response) = self.router.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            text: String::from_utf8(bytes.to_vec()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, Some(&self.key), "", "").await
    }

    pub(crate) async fn accepting(&self, path: &str, media: &str) -> Answer {
        let request = Request::builder().uri(path).header("accept", media);
        let request = request.header("authorization", format!("Bearer {}", self.key));
        self.answer(request.body(Body::empty()).unwrap()).await
    }

    /// Commits a change outside the API, under a number of its own.
    pub(crate) async fn once(&self, number: u64, fill: impl Fn(&mut Transaction)) {
        let mark = Mark::Episode {
            name: "seed",
            number,
            phase: "opened",
        };
        let decide = async |mut transaction: Transaction| {
            fill(&mut transaction);
            Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
        };
        let outcome = self.outbox.execute(&mark, &Cause::default(), decide).await;
        assert!(matches!(outcome, Ok(outbox::Outcome::Committed { .. })));
    }

    async fn create_key(&self, idempotency: &str, body: &Value) -> Answer {
        self.send(
            Method::POST,
            "/api/v1/keys",
            Some(&self.key),
            idempotency,
            &body.to_string(),
        )
        .await
    }
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Account {
    balance: Credits,
}

impl State for Account {
    const AGGREGATE: &'static str = "cloud_account";
}

pub(crate) async fn mint(service: &Service, number: u64) -> Envelope {
    let table = Table::domain("cloud");
    let mark = Mark::Episode {
        name: "mint",
        number,
        phase: "opened",
    };
    let outcome = service
        .outbox
        .execute::<(), (), outbox::Error, _, _>(&mark, &Cause::default(), async |mut transaction| {
            let account = service.outbox.load::<Account>(&table, "m-1").await?;
            let minted: Minted = serde_json::from_value(json!({
                "transaction_id": transaction.uuid(), "member_id": "m-1", "amount": 0.5, "amount_usd": 5,
                "balance_after": number, "version": account.next_version().unwrap(),
            }))
            .unwrap();
            let draft = Draft::of(&minted).unwrap();
            transaction.update(&account, &Account { balance: minted.balance_after }, vec![draft])?;
            Ok(Decision::Commit(transaction, ()))
        })
        .await
        .unwrap();
    match outcome {
        outbox::Outcome::Committed { mut events, .. } => events.remove(0),
        other => panic!("not committed: {other:?}"),
    }
}

#[tokio::test]
async fn health_needs_no_key_and_says_what_answers() {
    let service = Service::with(
        Health::new()
            .with("dynamodb", Up)
            .with("eventbridge", Up)
            .with("sqs", Up),
    )
    .await;
    let answer = service.send(Method::GET, "/health", None, "", "").await;
    assert_eq!(answer.status, 200);
    let body = answer.json();
    assert_eq!(body["status"], "healthy");
    assert_eq!(body["version"], env!("CARGO_PKG_VERSION"));
    for component in ["dynamodb", "eventbridge", "sqs"] {
        assert_eq!(
            body["components"][component],
            json!({ "status": "healthy" })
        );
    }
    assert!(body["uptime"].is_u64());
    assert_eq!(body["checked_seconds_ago"], 0);
}

/// Counts its checks; it fails while it is told to.
#[derive(Clone, Default)]
struct Counting {
    checks: Arc<AtomicUsize>,
    is_down: Arc<AtomicBool>,
}

#[async_trait]
impl Probe for Counting {
    async fn ask(&self) -> Result<(), Fault> {
        self.checks.fetch_add(1, Ordering::Relaxed);
        // Other requests arrive in the meantime.
        tokio::task::yield_now().await;
        if self.is_down.load(Ordering::Relaxed) {
            return Refusing.ask().await;
        }
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn health_is_checked_once_in_ten_seconds_however_many_ask() {
    let component = Counting::default();
    let service = Service::with(Health::new().with("sqs", component.clone())).await;
    let ask = || service.send(Method::GET, "/health", None, "", "");
    let all_at_once = futures::future::join_all((0..20).map(|_| ask())).await;
    assert!(all_at_once.iter().all(|answer| answer.status == 200));
    assert_eq!(component.checks.load(Ordering::Relaxed), 1);

    component.is_down.store(true, Ordering::Relaxed);
    tokio::time::advance(Duration::from_secs(9)).await;
    let remembered = ask().await;
    let age = remembered.json()["checked_seconds_ago"].clone();
    assert_eq!((remembered.status.as_u16(), age), (200, json!(9)));
    assert_eq!(component.checks.load(Ordering::Relaxed), 1);

    // The memory has ended. A failure is remembered as well.
    tokio::time::advance(Duration::from_secs(1)).await;
    assert_eq!(ask().await.status, 503);
    assert_eq!(ask().await.status, 503);
    assert_eq!(component.checks.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn health_is_503_when_something_refuses_or_stays_silent_and_tells_nothing_inner() {
    let health = Health::new()
        .with("dynamodb", Up)
        .with("eventbridge", Silent)
        .with("sqs", Refusing);
    let service = Service::with(health).await;
    let began = tokio::time::Instant::now();
    let answer = service.send(Method::GET, "/health", None, "", "").await;
    assert!(
        began.elapsed() < Duration::from_secs(3),
        "a component that does not answer is not waited for"
    );
    assert_eq!(answer.status, 503);
    let body = answer.json();
    assert_eq!(body["status"], "unhealthy");
    assert_eq!(body["components"]["dynamodb"]["status"], "healthy");
    assert_eq!(body["components"]["eventbridge"]["status"], "unhealthy");
    assert_eq!(body["components"]["sqs"]["status"], "unhealthy");
    assert!(!answer.text.contains("10.0.0.7"));
}

#[tokio::test]
async fn history_gives_the_envelopes_byte_for_byte_page_by_page() {
    let service = Service::start().await;
    let mut committed = Vec::new();
    for number in 1..=5 {
        committed.push(mint(&service, number).await.to_json().unwrap());
    }
    let base = "/api/v1/events?aggregate_type=cloud_account&aggregate_id=m-1&limit=2";
    let mut seen = String::new();
    let mut sequences = Vec::new();
    let mut path = base.to_owned();
    loop {
        let answer = service.get(&path).await;
        assert_eq!(answer.status, 200, "{}", answer.text);
        seen.push_str(&answer.text);
        let page = answer.json();
        let items = page["items"].as_array().unwrap();
        sequences.extend(items.iter().map(|item| item["sequence"].as_u64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("{base}&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(sequences, [1, 2, 3, 4, 5]);
    for envelope in &committed {
        assert!(
            seen.contains(envelope.as_str()),
            "not byte for byte: {envelope}"
        );
    }
    let later = service
        .get("/api/v1/events?aggregate_type=cloud_account&aggregate_id=m-1&from_sequence=4")
        .await
        .json();
    assert_eq!(later["items"].as_array().unwrap().len(), 2);
    assert_eq!(later["next_cursor"], Value::Null);
    let nobody = service
        .get("/api/v1/events?aggregate_type=cloud_account&aggregate_id=nobody")
        .await;
    assert_eq!(nobody.json(), json!({ "items": [], "next_cursor": null }));
}

/// A loan whose borrower pays cent by cent, and the ids of the resulting events in order.
struct Lending<'a> {
    service: &'a Service,
    id: LoanId,
    event_ids: Vec<String>,
}

/// Treats every borrower as a member.
struct Everybody;

#[async_trait]
impl loan::operations::Members for Everybody {
    async fn is_member(&self, _: &MemberId) -> Result<bool, outbox::Error> {
        Ok(true)
    }
}

impl<'a> Lending<'a> {
    /// Creates and funds a loan of 100.
    async fn begin(service: &'a Service) -> Self {
        let id = SystemClock.uuid().into();
        let mut lending = Self {
            service,
            id,
            event_ids: Vec::new(),
        };
        let create = loan::loan::Create {
            loan_id: id,
            borrower_id: "ada".parse().unwrap(),
            amount: "100".parse().unwrap(),
            currency: Currency::Eur,
            interest_rate: "6".parse().unwrap(),
            term_months: 12,
        };
        lending
            .commit(async |loans, transaction| {
                loans.create(transaction, &Everybody, create.clone()).await
            })
            .await;
        lending
            .commit(async |loans, transaction| {
                loans
                    .step(transaction, id, |change| change.fund(None))
                    .await
            })
            .await;
        lending
    }

    async fn pay(&mut self, times: usize) {
        let id = self.id;
        for _ in 0..times {
            self.commit(async |loans, transaction| {
                let payment_id = transaction.uuid().into();
                let (cent, method) = ("0.01".parse().unwrap(), Text::new("ach").unwrap());
                let pay = |change: loan::loan::LoanChange| change.pay(payment_id, cent, method);
                loans.step(transaction, id, pay).await
            })
            .await;
        }
    }

    async fn commit<F>(&mut self, step: F)
    where
        F: AsyncFn(Loans<'_>, &mut Transaction) -> Result<loan::loan::LoanChange, Stopped>,
    {
        let (outbox, table, step) = (&self.service.outbox, &Table::domain("loan"), &step);
        let mark = Mark::Episode {
            name: "lend",
            number: u64::try_from(self.event_ids.len()).unwrap(),
            phase: "opened",
        };
        let decide = async |mut transaction: Transaction| {
            let done = step(Loans { outbox, table }, &mut transaction).await;
            assert!(done.is_ok(), "{done:?}");
            Ok(Decision::Commit(transaction, ()))
        };
        let cause = Cause::default();
        let done = outbox.execute::<(), (), outbox::Error, _, _>(&mark, &cause, decide);
        let outbox::Outcome::Committed { events, .. } = done.await.unwrap() else {
            panic!("not committed");
        };
        let ids = events.iter().map(|event| event.event_id.to_string());
        self.event_ids.extend(ids);
    }
}

#[tokio::test]
async fn a_loan_with_500_events_is_paged_without_gaps_or_repeats_while_more_are_written() {
    let service = Service::start().await;
    let mut lending = Lending::begin(&service).await;
    lending.pay(498).await;
    assert_eq!(lending.event_ids.len(), 500);
    // The events per page, and the payments between two pages.
    for (limit, payments) in [(100, 3), (37, 7), (1, 0)] {
        let base = format!(
            "/api/v1/events?aggregate_type=loan&aggregate_id={}&limit={limit}",
            lending.id
        );
        let (mut path, mut read) = (base.clone(), Vec::new());
        loop {
            let answer = service.get(&path).await;
            assert_eq!(answer.status, 200, "{}", answer.text);
            let page = answer.json();
            let items = page["items"].as_array().unwrap();
            assert!(items.len() <= limit);
            read.extend(items.iter().map(|item| {
                let id = item["event_id"].as_str().unwrap().to_owned();
                (item["sequence"].as_u64().unwrap(), id)
            }));
            let Some(cursor) = page["next_cursor"].as_str() else {
                break;
            };
            path = format!("{base}&cursor={cursor}");
            lending.pay(payments).await;
        }
        // Nothing was written since the last page was read, so the history is complete.
        let expected: Vec<(u64, String)> = (1..).zip(lending.event_ids.iter().cloned()).collect();
        assert_eq!(read, expected, "{limit}");
    }
    assert!(lending.event_ids.len() > 600, "{}", lending.event_ids.len());
}

/// A payment that is authorized. If `lost`, it is also captured, with its row saved without the event.
async fn pay(service: &Service, number: u64, lost: bool) -> PaymentId {
    let (outbox, table) = (&service.outbox, &Table::domain("settlement"));
    let id: PaymentId = SystemClock.uuid().into();
    for step in 0..3 {
        // Each step has a time of its own, so the row shows when it was changed.
        let before = SystemClock.now();
        while SystemClock.now() == before {
            tokio::task::yield_now().await;
        }
        let mark = Mark::Episode {
            name: "pay",
            number: number * 10 + step,
            phase: "opened",
        };
        let decide = async |mut transaction: Transaction| {
            let entity = outbox.load::<Payment>(table, &id.to_string()).await?;
            let (version, now) = (entity.next_version().unwrap(), transaction.now());
            let change = match entity.state() {
                None => {
                    let create = Create {
                        payment_id: id,
                        amount: "12.5".parse().unwrap(),
                        currency: Currency::Eur,
                        reference: None,
                    };
                    PaymentChange::create(create, version, now)
                }
                Some(payment) if step == 1 => PaymentChange::of(payment, version, now).authorize(),
                Some(payment) => PaymentChange::of(payment, version, now).capture(),
            };
            let change = change.unwrap();
            if lost && step == 2 {
                transaction.update(&entity, change.state(), Vec::new())?;
            } else {
                change.save(&mut transaction, &entity)?;
            }
            Ok(Decision::Commit(transaction, ()))
        };
        let cause = Cause::default();
        let done = outbox.execute::<(), (), outbox::Error, _, _>(&mark, &cause, decide);
        assert!(matches!(done.await, Ok(outbox::Outcome::Committed { .. })));
    }
    id
}

#[tokio::test]
async fn a_witness_lays_what_is_stored_beside_what_the_events_come_to() {
    let service = Service::start().await;
    let path =
        |id: PaymentId| format!("/api/v1/events/witness?aggregate_type=payment&aggregate_id={id}");
    let whole = path(pay(&service, 1, false).await);
    let answer = service.get(&whole).await;
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    assert_eq!(
        (&body["verdict"], &body["events"]),
        (&json!("agrees"), &json!(3))
    );
    assert_eq!(body["stored"], body["rebuilt"]);
    assert_eq!(body["stored"]["state"]["status"], "captured");
    assert_eq!(body["stored"]["version"], 3);
    assert_eq!(body["parted_at"], Value::Null);

    // A change without an event.
    let lost = path(pay(&service, 2, true).await);
    let body = service.get(&lost).await.json();
    assert_eq!(body["verdict"], "parted");
    assert_eq!(
        body["differing"],
        json!(["status", "updated_at", "version"])
    );
    assert_eq!(body["rebuilt"]["state"]["status"], "authorized");
    assert_eq!(body["parted_at"]["event_type"], "payment.status_changed");
    let reason = body["reason"].as_str().unwrap();
    assert!(
        reason.contains("status is \"captured\", but its events give \"authorized\""),
        "{reason}"
    );

    let reader = service.key_of(&["events:read"]).await;
    let send = async |key: &str| {
        service
            .send(Method::GET, &whole, Some(key), "", "")
            .await
            .status
    };
    assert_eq!(send(&reader).await, 200);
    let other = service.key_of(&["settlements:read"]).await;
    assert_eq!(send(&other).await, 403);
}

#[tokio::test]
async fn a_witness_of_an_unknown_type_names_the_known_ones() {
    let service = Service::start().await;
    let answer = service
        .get("/api/v1/events/witness?aggregate_type=nothing&aggregate_id=1")
        .await;
    assert_eq!(answer.status, 404);
    let known: Vec<&str> = domains::aggregate_types().collect();
    assert_eq!(answer.json()["known"], json!(known));
    let none = Uuid::from_u128(7);
    let answer = service
        .get(&format!(
            "/api/v1/events/witness?aggregate_type=payment&aggregate_id={none}"
        ))
        .await;
    assert_eq!(answer.status, 404);
    assert_eq!(answer.json().get("known"), None);
    let answer = service.get("/api/v1/events/witness").await;
    assert_eq!(answer.status, 400);
}

#[tokio::test]
async fn history_names_what_is_wrong_with_its_parameters() {
    let service = Service::start().await;
    let answer = service
        .get("/api/v1/events?aggregate_type=Cloud&from_sequence=0&cursor=x&limit=1000")
        .await;
    assert_eq!(answer.status, 400);
    let pointers: Vec<String> = answer.json()["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["pointer"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        pointers,
        [
            "/query/aggregate_id",
            "/query/aggregate_type",
            "/query/cursor",
            "/query/from_sequence",
            "/query/limit"
        ]
    );
}

#[tokio::test]
async fn contracts_are_listed_with_schemas_that_compile() {
    let service = Service::start().await;
    let all = service.get("/api/v1/contracts").await.json();
    let items = all["items"].as_array().unwrap();
    assert_eq!(items.len(), Registry::shipped().contracts().len());
    for item in items {
        assert!(events::validator_for(&item["schema"]).is_ok(), "{item}");
    }
    assert_eq!(all["envelope"]["$id"], "urn:millrace:common:envelope:v1");
    let minted = service
        .get("/api/v1/contracts?type=cloud.minted")
        .await
        .json();
    let minted = minted["items"].as_array().unwrap();
    assert_eq!(minted.len(), 1);
    assert_eq!(minted[0]["event_version"], "v1");
    assert_eq!(minted[0]["priority"], "high");
    assert_eq!(
        minted[0]["aggregate"],
        "cloud_account/{member_id, else unallocated}"
    );
    assert_eq!(minted[0]["retention_days"], Value::Null);
    assert_eq!(
        service
            .get("/api/v1/contracts?type=cloud.unknown")
            .await
            .json()["items"],
        json!([])
    );
}

#[tokio::test]
async fn a_key_is_shown_once_works_and_stops_when_deleted() {
    let service = Service::start().await;
    let body = json!({ "owner": "billing", "scopes": ["contracts:read"] });
    let first = service.create_key("k-1", &body).await;
    assert_eq!(first.status, 201, "{}", first.text);
    let created = first.json();
    let key = created["key"].as_str().unwrap().to_owned();
    let again = service.create_key("k-1", &body).await;
    assert_eq!(again.status, 201);
    assert_eq!(
        again.json(),
        json!({ "key_id": created["key_id"] }),
        "the key is not read a second time"
    );
    assert_eq!(again.headers["idempotency-replayed"], "true");

    let used = service
        .send(Method::GET, "/api/v1/contracts", Some(&key), "", "")
        .await;
    assert_eq!(used.status, 200);
    let beyond = service
        .send(Method::GET, "/api/v1/keys", Some(&key), "", "")
        .await;
    assert_eq!(beyond.status, 403);
    assert_eq!(beyond.json()["scope"], "keys:read");

    let listed = service.get("/api/v1/keys").await;
    assert!(listed.text.contains("billing") && !listed.text.contains("sha256"));
    assert!(!listed.text.contains(key.rsplit('_').next().unwrap()));

    let path = format!("/api/v1/keys/{}", created["key_id"].as_str().unwrap());
    for _ in 0..2 {
        let deleted = service
            .send(Method::DELETE, &path, Some(&service.key), "", "")
            .await;
        assert_eq!(
            (deleted.status, deleted.text.as_str()),
            (StatusCode::NO_CONTENT, "")
        );
    }
    let used = service
        .send(Method::GET, "/api/v1/contracts", Some(&key), "", "")
        .await;
    assert_eq!(used.status, 401);
}

#[tokio::test]
async fn nobody_gives_scopes_that_they_do_not_have() {
    let mut service = Service::start().await;
    service.key = service.key_of(&["keys:write", "cloud:read"]).await;
    for (scopes, status, pointer) in [
        (json!(["cloud:read"]), 201, Value::Null),
        (
            json!(["cloud:read", "cloud:write"]),
            403,
            json!("/scopes/1"),
        ),
        (json!(["*"]), 403, json!("/scopes/0")),
    ] {
        let answer = service
            .create_key(
                &scopes.to_string(),
                &json!({ "owner": "ops", "scopes": scopes }),
            )
            .await;
        assert_eq!(answer.status, status, "{}", answer.text);
        assert_eq!(answer.json()["violations"][0]["pointer"], pointer);
    }
}

#[tokio::test]
async fn only_a_key_with_every_scope_makes_keys_of_another_owner() {
    let mut service = Service::start().await;
    let all = service.key.clone();
    service.key = service.key_of(&["keys:write", "cloud:approve"]).await;
    let key_for = |owner: &str| json!({ "owner": owner, "scopes": ["cloud:approve"] });
    assert_eq!(service.create_key("own", &key_for("ops")).await.status, 201);
    let refused = service.create_key("other", &key_for("finance")).await;
    assert_eq!(refused.status, 403);
    let problem = refused.json();
    assert_eq!(problem["type"], "urn:millrace:problem:missing-scope");
    assert_eq!(problem["scope"], "*");
    assert_eq!(problem["violations"][0]["pointer"], "/owner");
    service.key = all;
    let made = service.create_key("other", &key_for("finance")).await;
    assert_eq!(made.status, 201);
}

#[tokio::test]
async fn a_key_request_that_is_not_valid_names_every_violation() {
    let service = Service::start().await;
    let answer = service
        .create_key("k", &json!({ "owner": "a#b", "scopes": [], "admin": true }))
        .await;
    assert_eq!(answer.status, 422);
    let pointers: Vec<Value> = answer.json()["violations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|violation| violation["pointer"].clone())
        .collect();
    assert_eq!(pointers, ["/admin", "/owner", "/scopes"]);
}

#[tokio::test]
async fn keys_are_listed_to_the_last_page() {
    let service = Service::start().await;
    for _ in 0..4 {
        service.key_of(&["cloud:read"]).await;
    }
    let mut seen = BTreeSet::new();
    let mut path = "/api/v1/keys?limit=2".to_owned();
    loop {
        let page = service.get(&path).await.json();
        for item in page["items"].as_array().unwrap() {
            assert!(seen.insert(item["key_id"].to_string()), "listed twice");
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => path = format!("/api/v1/keys?limit=2&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
}

#[tokio::test]
async fn the_document_is_open_whole_and_free_of_loose_ends() {
    let service = Service::start().await;
    let answer = service
        .send(Method::GET, "/api/v1/openapi.json", None, "", "")
        .await;
    assert_eq!(answer.status, 200);
    let document = answer.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut operations = BTreeSet::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        for (method, operation) in methods.as_object().unwrap() {
            let id = operation["operationId"].as_str().unwrap().to_owned();
            assert!(
                operations.insert(id),
                "operationId of {method} {path} is not its own"
            );
            let declared: BTreeSet<&str> = operation["parameters"]
                .as_array()
                .into_iter()
                .flatten()
                .filter(|parameter| parameter["in"] == "path")
                .map(|parameter| parameter["name"].as_str().unwrap())
                .collect();
            let named: BTreeSet<&str> = path
                .split('/')
                .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'))
                .collect();
            assert_eq!(declared, named, "path parameters of {method} {path}");
        }
    }
    for (name, schema) in document["components"]["schemas"].as_object().unwrap() {
        assert!(
            events::validator_for(schema).is_ok(),
            "schema {name} does not compile"
        );
    }
    let mut pending = vec![&document];
    while let Some(value) = pending.pop() {
        match value {
            Value::Object(object) => {
                if let Some(reference) = object.get("$ref").and_then(Value::as_str) {
                    assert!(
                        document.pointer(&reference[1..]).is_some(),
                        "{reference} leads nowhere"
                    );
                }
                pending.extend(object.values());
            }
            Value::Array(items) => pending.extend(items),
            _ => {}
        }
    }
}

/// Counts some events as the consumer does, in the rows that the endpoint reads.
async fn counted(service: &Service) {
    let table = Table::domain("analytics");
    let fact = |event_type, amount: &str, metered, members| Fact {
        amount: amount.parse().unwrap(),
        metered,
        refunded: match event_type {
            "wallet.escrow_partial_settled" => "30.25".parse().unwrap(),
            _ => "0".parse().unwrap(),
        },
        members,
    };
    let ada = || MemberId::new("ada").unwrap();
    let compute = Some((Primitive::Compute, "2.5".parse().unwrap()));
    let facts = [
        (
            "cloud.minted",
            "999999999.999999",
            None,
            vec![(ada(), None)],
        ),
        ("cloud.minted", "999999999.999999", None, vec![]),
        ("cloud.redeemed", "0.5", compute, vec![(ada(), None)]),
        (
            "cloud.transferred",
            "4",
            None,
            vec![(ada(), Some(Direction::In))],
        ),
        ("cloud.sync_diverged", "0", None, vec![(ada(), None)]),
        (
            "wallet.escrow_partial_settled",
            "69.75",
            None,
            vec![(ada(), Some(Direction::Out))],
        ),
    ];
    for (number, (event_type, amount, metered, members)) in (1..).zip(facts) {
        let mark = Mark::Episode {
            name: "count",
            number,
            phase: "opened",
        };
        let fact = &fact(event_type, amount, metered, members);
        let id = format!("018f0000-0000-7000-8000-00000000000{number}");
        let event = json!({
            "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": SystemClock.now(),
            "producer": "test", "correlation_id": id, "priority": "normal", "aggregate_type": "thing",
            "aggregate_id": "1", "sequence": number, "payload": {},
        });
        let (table, event) = (&table, Registry::read(&event.to_string()).unwrap());
        let outcome = service
            .outbox
            .execute::<(), (), outbox::Error, _, _>(
                &mark,
                &Cause::default(),
                async |mut transaction| {
                    for count in views::analytics::counts(table, &event, fact) {
                        transaction.add(count.key.clone(), count.amounts());
                    }
                    Ok(Decision::Commit(transaction, ()))
                },
            )
            .await
            .unwrap();
        assert!(matches!(outcome, outbox::Outcome::Committed { .. }));
    }
}

fn without_start(answer: &Answer) -> Vec<Value> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let body = answer.json();
    let items = body["items"].as_array().unwrap().iter().cloned();
    items
        .map(|mut item| {
            let start = item.as_object_mut().unwrap().remove("start").unwrap();
            let start: Timestamp = serde_json::from_value(start).unwrap();
            let (from, to): (Timestamp, Timestamp) = (
                serde_json::from_value(body["from"].clone()).unwrap(),
                serde_json::from_value(body["to"].clone()).unwrap(),
            );
            assert!(from <= start && start < to, "{body}");
            item
        })
        .collect()
}

#[tokio::test]
async fn analytics_tells_counts_and_exact_sums_of_the_last_day() {
    let service = Service::start().await;
    counted(&service).await;
    let all = [
        json!({ "event_type": "cloud.minted", "count": 2, "amount": "1999999999.999998", "unit": "CLOUD" }),
        json!({ "event_type": "cloud.redeemed", "primitive": "compute", "count": 1, "amount": "0.5", "unit": "CLOUD",
            "quantity": "2.5", "quantity_unit": "compute-hour" }),
        json!({ "event_type": "cloud.sync_diverged", "count": 1 }),
        json!({ "event_type": "cloud.transferred", "count": 1, "amount": "4", "unit": "CLOUD" }),
        json!({ "event_type": "wallet.escrow_partial_settled", "count": 1, "amount": "69.75", "unit": "points",
            "refund_amount": "30.25" }),
    ];
    let base = "/api/v1/analytics/events";
    for bucket in ["", "?bucket=hour", "?bucket=day"] {
        let answer = service.get(&format!("{base}{bucket}")).await;
        assert_eq!(without_start(&answer), all, "{bucket}");
    }
    let of_one_type = service.get(&format!("{base}?type=cloud.redeemed")).await;
    assert_eq!(without_start(&of_one_type), [all[1].clone()]);
    let of_one_primitive = service.get(&format!("{base}?primitive=compute")).await;
    assert_eq!(without_start(&of_one_primitive), [all[1].clone()]);
    let of_another = service
        .get(&format!("{base}?primitive=stm&type=cloud.redeemed"))
        .await;
    assert_eq!(without_start(&of_another), Vec::<Value>::new());
    let of_a_member = service.get(&format!("{base}?member_id=ada")).await;
    assert_eq!(
        without_start(&of_a_member),
        [
            json!({ "event_type": "cloud.minted", "count": 1, "amount": "999999999.999999", "unit": "CLOUD" }),
            all[1].clone(),
            all[2].clone(),
            json!({ "event_type": "cloud.transferred", "direction": "in", "count": 1, "amount": "4", "unit": "CLOUD" }),
            json!({ "event_type": "wallet.escrow_partial_settled", "direction": "out", "count": 1, "amount": "69.75",
                "unit": "points", "refund_amount": "30.25" }),
        ]
    );
    let of_nobody = service.get(&format!("{base}?member_id=nobody")).await;
    assert_eq!(without_start(&of_nobody), Vec::<Value>::new());
}

#[tokio::test]
async fn analytics_answers_for_whole_buckets_and_says_which() {
    let service = Service::start().await;
    for (query, bucket, from, to) in [
        (
            "from=2026-11-20&to=2026-11-21",
            "hour",
            "2026-11-20T00:00:00.000Z",
            "2026-11-21T00:00:00.000Z",
        ),
        (
            "from=2026-11-20T10:30:00Z&to=2026-11-20T12:00:00.001%2B01:00&bucket=hour",
            "hour",
            "2026-11-20T10:00:00.000Z",
            "2026-11-20T12:00:00.000Z",
        ),
        (
            "from=2026-11-20T10:30:00.123456789-05:00&to=2026-11-20T15:31:00Z",
            "hour",
            "2026-11-20T15:00:00.000Z",
            "2026-11-20T16:00:00.000Z",
        ),
        (
            "to=2026-11-20T10:30:00Z&bucket=day",
            "day",
            "2026-10-22T00:00:00.000Z",
            "2026-11-21T00:00:00.000Z",
        ),
        (
            "to=2026-11-20T10:30:00Z",
            "hour",
            "2026-11-19T11:00:00.000Z",
            "2026-11-20T11:00:00.000Z",
        ),
        (
            "from=2024-01-01&to=2025-01-01&bucket=day",
            "day",
            "2024-01-01T00:00:00.000Z",
            "2025-01-01T00:00:00.000Z",
        ),
        (
            "from=2026-10-01&to=2026-11-01",
            "hour",
            "2026-10-01T00:00:00.000Z",
            "2026-11-01T00:00:00.000Z",
        ),
    ] {
        let answer = service
            .get(&format!("/api/v1/analytics/events?{query}"))
            .await;
        assert_eq!(
            answer.json(),
            json!({ "bucket": bucket, "from": from, "to": to, "items": [] }),
            "{query}"
        );
    }
}

#[tokio::test]
async fn analytics_names_what_is_wrong_with_its_parameters() {
    let service = Service::start().await;
    for (query, status, pointers) in [
        ("type=cloud.unknown", 422, vec!["/query/type"]),
        ("type=shelf.built", 422, vec!["/query/type"]),
        ("type=minted", 400, vec!["/query/type"]),
        ("bucket=week", 400, vec!["/query/bucket"]),
        ("primitive=gold", 400, vec!["/query/primitive"]),
        ("member_id=", 400, vec!["/query/member_id"]),
        ("since=2026-11-20", 400, vec!["/query/since"]),
        (
            "from=yesterday&to=20261120",
            400,
            vec!["/query/from", "/query/to"],
        ),
        ("from=2026-11-20T10:00:00+01:00", 400, vec!["/query/from"]),
        (
            "from=2026-02-30&to=2026-13-01",
            400,
            vec!["/query/from", "/query/to"],
        ),
        ("from=0000-01-01&to=0001-01-01", 400, vec!["/query/from"]),
        (
            "primitive=stm&type=cloud.minted",
            422,
            vec!["/query/primitive"],
        ),
        ("from=2026-11-20&to=2026-11-20", 422, vec!["/query/from"]),
        (
            "from=2026-11-21&to=2026-11-20&type=cloud.x",
            422,
            vec!["/query/type", "/query/from"],
        ),
        ("from=9999-01-01", 422, vec!["/query/from"]),
        (
            "from=2026-10-01&to=2026-11-01T00:00:01Z",
            422,
            vec!["/query/from"],
        ),
        (
            "from=2024-01-01&to=2025-01-02&bucket=day",
            422,
            vec!["/query/from"],
        ),
        (
            "from=0001-01-01&to=9999-12-31T23:59:59Z&bucket=day",
            422,
            vec!["/query/from"],
        ),
    ] {
        let answer = service
            .get(&format!("/api/v1/analytics/events?{query}"))
            .await;
        assert_eq!(answer.status, status, "{query}: {}", answer.text);
        let named: Vec<Value> = answer.json()["violations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|violation| violation["pointer"].clone())
            .collect();
        assert_eq!(named, pointers, "{query}: {}", answer.text);
    }
}

#[tokio::test]
async fn analytics_needs_its_scope_and_takes_nothing() {
    let service = Service::start().await;
    let path = "/api/v1/analytics/events";
    for (scope, status) in [
        ("analytics:read", 200),
        ("events:read", 403),
        ("analytics:write", 403),
    ] {
        let key = service.key_of(&[scope]).await;
        let answer = service.send(Method::GET, path, Some(&key), "", "").await;
        assert_eq!(answer.status, status, "{scope}: {}", answer.text);
    }
    let nobody = service.send(Method::GET, path, None, "", "").await;
    assert_eq!(nobody.status, 401);
    let posted = service
        .send(Method::POST, path, Some(&service.key), "k", "{}")
        .await;
    assert_eq!(posted.status, 405);
}
