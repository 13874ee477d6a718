//! What an event costs, as COSTS.md states it: the shipped handler, runtime and store against a DynamoDB that counts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use aws::{DynamoStore, SqsQueue};
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use cloud_chain_sync::handler::{Chain, ChainSync};
use consumer::{Lane, Message, Outcome, Runner, Settings};
use events::Registry;
use outbox::{Clock as _, Outbox, SystemClock, Table};
use serde_json::{Value, json};
use testkit::dynamo_stub::DynamoStub;
use uuid::Uuid;

const COSTS: &str = include_str!("../../../COSTS.md");

/// The rows of COSTS.md's table of the chain that begin with this function's name: write units, read units, DynamoDB calls,
/// balances asked for.
fn stated() -> BTreeMap<String, Vec<u64>> {
    let rows = COSTS
        .lines()
        .skip_while(|line| !line.starts_with("| step behind the chain |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let step = cells.next()?.strip_prefix("`cloud-chain-sync`: ")?;
        Some((
            step.to_owned(),
            cells.map(|cell| cell.parse().unwrap()).collect(),
        ))
    })
    .collect()
}

struct Bench {
    stub: DynamoStub,
    runner: Runner<ChainSync>,
}

impl Bench {
    async fn start(chain: Chain) -> Self {
        let (marks, cloud) = (Table::marks("marks"), Table::domain("cloud"));
        let stub = DynamoStub::start([&marks, &cloud], Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let outbox = Outbox::without_log(
            Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk))),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            marks,
        );
        let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
        let handler = ChainSync::new(outbox.clone(), cloud, chain);
        Self {
            runner: Runner::new(handler, outbox, queue, Settings::default()),
            stub,
        }
    }

    /// What it costs to handle one event.
    async fn consume(&self, event_type: &str, payload: Value) -> Vec<u64> {
        let now = SystemClock.now();
        let message = Message {
            message_id: "message".into(),
            receipt_handle: "receipt".into(),
            body: envelope(event_type, &payload).to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
        };
        let lane = Lane {
            name: "express",
            queue_arn: "arn".into(),
            queue_url: format!("{}/lane", self.stub.endpoint()),
            dead_letter_queue_url: format!("{}/letters", self.stub.endpoint()),
        };
        drop(self.stub.take_counts());
        let deadline = now.plus(Duration::from_secs(30));
        let summary = self.runner.run(&lane, vec![message], deadline).await;
        assert_eq!(summary.finished[0].outcome, Outcome::Done, "{event_type}");
        let counts = self.stub.take_counts();
        vec![counts.write_units, counts.read_units, counts.all_calls(), 0]
    }

    async fn register(&self, member: &str, address: Option<&str>) -> Vec<u64> {
        let payload = json!({
            "member_id": member, "name": "Ada Lovelace", "email": "ada@example.com", "role": "member",
            "ethereum_address": address, "version": 1,
            "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
        });
        self.consume("member.registered", payload).await
    }
}

fn envelope(event_type: &str, payload: &Value) -> Value {
    let registry = Registry::shipped();
    let info = registry.get(event_type, 1).unwrap().info();
    let id = Uuid::now_v7();
    json!({
        "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": SystemClock.now(),
        "producer": info.producer, "correlation_id": id, "priority": info.priority,
        "aggregate_type": info.aggregate_type, "aggregate_id": "some", "sequence": 1, "payload": payload,
    })
}

fn sample(text: &str, members: &[(&str, &str)]) -> Value {
    let mut payload: Value = serde_json::from_str(text).unwrap();
    for (field, member) in members {
        payload[*field] = json!(member);
    }
    payload
}

fn minted(member: &str) -> Value {
    let text = include_str!("../../../shared/events/samples/cloud/minted-v1/full.json");
    sample(text, &[("member_id", member)])
}

#[tokio::test]
async fn every_row_of_the_table_is_what_is_counted() {
    let bench = Bench::start(Chain::There).await;
    let mut counted = BTreeMap::new();
    let mut count = |step: &str, cost: Vec<u64>| counted.insert(step.to_owned(), cost);
    let address = |last: char| format!("0x{}{last}", "a".repeat(39));
    count("a member", bench.register("ada", Some(&address('1'))).await);
    bench.register("bob", Some(&address('2'))).await;
    bench.register("eve", None).await;
    count(
        "a movement",
        bench.consume("cloud.minted", minted("ada")).await,
    );
    count(
        "a movement of a member without address",
        bench.consume("cloud.minted", minted("eve")).await,
    );
    let text = include_str!("../../../shared/events/samples/cloud/transferred-v1/full.json");
    let transfer = sample(text, &[("from_member_id", "ada"), ("to_member_id", "bob")]);
    count(
        "a transfer, two members with addresses",
        bench.consume("cloud.transferred", transfer).await,
    );
    let without = Bench::start(Chain::NotThere).await;
    count(
        "a movement where there is no chain",
        without.consume("cloud.minted", minted("ada")).await,
    );
    assert_eq!(stated(), counted, "left: COSTS.md, right: counted");
}
