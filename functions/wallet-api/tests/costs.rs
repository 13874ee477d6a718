//! What an operation costs, as COSTS.md states it: the shipped router, rules and store against a DynamoDB that counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Keys, keys::NewKey};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use axum::{Router, body::Body};
use events::{Cause, MemberId, Registry, Sequence};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use member::Member;
use outbox::{Clock as _, Decision, Error, Mark, Outbox, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use tower::ServiceExt as _;
use wallet_api::{
    balances::{Balances, CacheSettings},
    handler::{App, Tables},
    router,
};

const COSTS: &str = include_str!("../../../COSTS.md");

/// The table of operations: name to the cells behind it.
fn stated() -> BTreeMap<String, Vec<u64>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = COSTS
        .lines()
        .skip_while(|line| !line.starts_with("| operation of `wallet-api`"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    let rows: BTreeMap<String, Vec<u64>> = rows
        .map(|line| {
            let mut row = cells(line);
            let name = row.remove(0);
            (name, row.iter().map(|cell| cell.parse().unwrap()).collect())
        })
        .collect();
    assert!(!rows.is_empty(), "COSTS.md has no table of operations");
    rows
}

struct Service {
    stub: DynamoStub,
    router: Router,
    key: String,
    calls: u32,
}

impl Service {
    async fn start() -> Self {
        let tables = [
            Table::events("events"),
            Table::marks("marks"),
            Table::domain("keys"),
            Table::domain("wallet"),
            Table::domain("member"),
            Table::domain("activity"),
        ];
        let stub = DynamoStub::start(&tables, Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
        let [events, marks, keys, wallet, members, activity] = tables;
        let keys = Keys::new(store.clone(), keys);
        let registry = Arc::new(Registry::shipped());
        let outbox = Outbox::new(store, Arc::new(SystemClock), registry, events, marks);
        let scopes = vec!["*".parse().unwrap()];
        let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
        keys.create(&SystemClock, &key).await.unwrap();
        for id in ["ada", "bo"] {
            register(&outbox, &members, id).await;
        }
        let tables = Tables {
            wallet,
            members,
            activity,
        };
        let app = App::new(outbox, tables, Balances::new(&CacheSettings::default()));
        Self {
            router: router::routes().router(Arc::new(app), &keys),
            stub,
            key: key.text().to_owned(),
            calls: 0,
        }
    }

    async fn call(&mut self, method: Method, path: &str, body: Value) -> (Value, Counts) {
        self.calls += 1;
        let path = format!("/api/v1/{path}");
        // What was before is somebody else's.
        drop(self.stub.take_counts());
        let request = Request::builder()
            .method(method)
            .uri(&path)
            .header("authorization", format!("Bearer {}", self.key))
            .header("idempotency-key", self.calls.to_string())
            .body(Body::from(body.to_string()))
            .unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let status = response.status();
        let bytes = response.into_body().collect().await.unwrap().to_bytes();
        let answer: Value = serde_json::from_slice(&bytes).unwrap();
        assert!(status.is_success(), "{path}: {answer}");
        (answer, self.stub.take_counts())
    }

    async fn post(&mut self, path: &str, body: Value) -> (Value, Counts) {
        self.call(Method::POST, path, body).await
    }

    async fn get(&mut self, path: &str) -> (Value, Counts) {
        self.call(Method::GET, path, Value::Null).await
    }

    /// A new escrow of 10 points.
    async fn hold(&mut self) -> (String, Counts) {
        let body = json!({
            "amount": 10, "reason": "performance_request", "queue_item_id": "queue-456", "feature_type": "performance",
            "request_id": "req-xyz"
        });
        let (answer, counts) = self.post("wallets/ada/escrows", body).await;
        (answer["escrow_id"].as_str().unwrap().to_owned(), counts)
    }
}

async fn register(outbox: &Outbox, members: &Table, id: &str) {
    let mark = Mark::Episode {
        name: "costs",
        number: u64::try_from(id.len()).unwrap(),
        phase: "opened",
    };
    let command: member::Registration =
        serde_json::from_value(json!({ "name": "Ada", "email": "a@example.org" })).unwrap();
    let command = &command;
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            let entity = outbox.load::<Member>(members, id).await?;
            let version = Sequence::new(1).unwrap();
            let id = MemberId::new(id).unwrap();
            let now = transaction.now();
            let registering = member::register(None, id, command.clone(), version, now).unwrap();
            registering.save(&mut transaction, &entity)?;
            Ok(Decision::Commit(transaction, ()))
        })
        .await
        .unwrap();
    assert!(matches!(outcome, outbox::Outcome::Committed { .. }));
}

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let mut service = Service::start().await;
    let mut counted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut note = |name: &str, counts: &Counts| {
        let row = vec![counts.write_units, counts.read_units, counts.all_calls()];
        counted.insert(name.to_owned(), row);
    };
    // The first ones make the accounts.
    service
        .post("wallets/ada/deposits", json!({ "amount": 100 }))
        .await;
    let (escrow, _) = service.hold().await;
    let model = json!({ "model_id": "bo" });
    service
        .post(&format!("escrows/{escrow}/settle"), model.clone())
        .await;

    let (_, counts) = service
        .post("wallets/ada/deposits", json!({ "amount": 1 }))
        .await;
    note("deposit", &counts);
    let (_, counts) = service
        .post("wallets/ada/withdrawals", json!({ "amount": 1 }))
        .await;
    note("withdraw", &counts);
    let (escrow, counts) = service.hold().await;
    note("hold", &counts);
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/settle"), model)
        .await;
    note("settle", &counts);
    let (escrow, _) = service.hold().await;
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/refund"), json!({}))
        .await;
    note("refund", &counts);
    let (escrow, _) = service.hold().await;
    let parts = json!({ "refund_amount": 4, "settle_amount": 6, "model_id": "bo" });
    let (_, counts) = service
        .post(&format!("escrows/{escrow}/partial-settle"), parts)
        .await;
    note("divide", &counts);
    let (read, counts) = service.get("wallets/ada/balance").await;
    assert_eq!(read["source"], "store");
    note("balance, from the store", &counts);
    let (read, counts) = service.get("wallets/ada/balance").await;
    assert_eq!(read["source"], "cache");
    note("balance, from the cache", &counts);
    let (_, counts) = service.get("wallets/ada/balance?consistent=true").await;
    note("balance, consistent", &counts);
    assert_eq!(counted, stated());
}
