//! What an operation costs, as COSTS.md states it: the shipped router, rules and store against a DynamoDB that counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use api::{Keys, keys::NewKey};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use axum::{Router, body::Body};
use cloud_api::{handler::App, router};
use events::{Cause, MemberId, Registry, Sequence};
use http::{Method, Request};
use http_body_util::BodyExt as _;
use member::Member;
use outbox::{Clock as _, Decision, Error, Mark, Outbox, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use tower::ServiceExt as _;

const COSTS: &str = include_str!("../../../COSTS.md");

/// The table of operations: name to the cells behind it.
fn stated() -> BTreeMap<String, Vec<u64>> {
    let cells = |line: &str| -> Vec<String> {
        let inner = line.trim_matches('|').split('|');
        inner.map(|cell| cell.trim().to_owned()).collect()
    };
    let rows = COSTS
        .lines()
        .skip_while(|line| !line.starts_with("| operation of `cloud-api`"))
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
            Table::domain("cloud"),
            Table::domain("member"),
        ];
        let stub = DynamoStub::start(&tables, Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
        let [events, marks, keys, cloud, members] = tables;
        let keys = Keys::new(store.clone(), keys);
        let registry = Arc::new(Registry::shipped());
        let outbox = Outbox::new(store, Arc::new(SystemClock), registry, events, marks);
        let scopes = vec!["*".parse().unwrap()];
        let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
        keys.create(&SystemClock, &key).await.unwrap();
        for id in ["ada", "bo"] {
            register(&outbox, &members, id).await;
        }
        let shares = "0:1".parse().unwrap();
        let app = App::new(outbox, cloud, members, "10".parse().unwrap(), shares);
        Self {
            router: router::routes().router(Arc::new(app), &keys),
            stub,
            key: key.text().to_owned(),
            calls: 0,
        }
    }

    async fn post(&mut self, path: &str, body: Value) -> (Value, Counts) {
        self.calls += 1;
        let path = format!("/api/v1/cloud/{path}");
        // What was before is somebody else's.
        drop(self.stub.take_counts());
        let request = Request::builder()
            .method(Method::POST)
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
    let member = |amount: &str| json!({ "member_id": "ada", "amount": amount });
    // The first one makes the account.
    service.post("mints", member("10")).await;
    let (_, counts) = service.post("mints", member("10")).await;
    note("mint", &counts);
    let mut charged = member("10");
    charged["stripe_charge_id"] = "ch_1".into();
    let (_, counts) = service.post("mints", charged).await;
    note("mint for a Stripe charge", &counts);
    let moved = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": 1 });
    service.post("transfers", moved.clone()).await;
    let (_, counts) = service.post("transfers", moved).await;
    note("transfer", &counts);
    let mut burned = member("1");
    burned["reason"] = "expired".into();
    let (_, counts) = service.post("burns", burned).await;
    note("burn", &counts);
    let card = json!({
        "effective_date": "2020-01-01", "notice_date": "2020-01-01", "proposed_by": "ada",
        "rates": { "compute": 1, "transfer": 1, "ltm": 1, "stm": 1 }
    });
    service.post("rate-cards", card.clone()).await;
    let (_, counts) = service.post("rate-cards", card).await;
    note("propose a rate card", &counts);
    let approval = json!({ "approved_by": "bo" });
    let (_, counts) = service.post("rate-cards/2/approve", approval).await;
    note("approve a rate card", &counts);
    let redemption = json!({
        "member_id": "ada", "primitive": "stm", "quantity": 1, "unit": "GB-hour", "service_name": "habitat-api",
        "period_id": "q1-2026", "rate_card_version": 2
    });
    let (_, counts) = service.post("redemptions", redemption).await;
    note("redeem", &counts);
    let mut staked = member("1");
    staked["lock_duration_days"] = 0.into();
    let (stake, counts) = service.post("stakes", staked).await;
    note("stake", &counts);
    let path = format!("stakes/{}/unstake", stake["position_id"].as_str().unwrap());
    let (_, counts) = service.post(&path, json!({})).await;
    note("unstake", &counts);
    assert_eq!(counted, stated());
}
