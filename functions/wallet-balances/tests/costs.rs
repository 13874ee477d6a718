//! What an event costs, as COSTS.md says: the shipped handler, runtime and store against a DynamoDB that counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{sync::Arc, time::Duration};

use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use consumer::{Lane, Message, Outcome, Runner, Settings, SqsQueue};
use events::Registry;
use outbox::{Clock as _, Outbox, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use uuid::Uuid;
use wallet_balances::handler::WalletBalances;

const COSTS: &str = include_str!("../../../COSTS.md");

/// Write units, read units and calls of a step.
fn stated(step: &str) -> [u64; 3] {
    let start = format!("| {step} |");
    let mut rows = COSTS.lines().filter_map(|line| line.strip_prefix(&start));
    let row = rows.next().expect("a row in COSTS.md");
    let cells = row.trim_end_matches('|').split('|');
    let numbers: Vec<u64> = cells.map(|cell| cell.trim().parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

fn counted(counts: &Counts) -> [u64; 3] {
    [counts.write_units, counts.read_units, counts.all_calls()]
}

struct Bench {
    stub: DynamoStub,
    runner: Runner<WalletBalances>,
    lane: Lane,
}

impl Bench {
    async fn start() -> Self {
        let (marks, own) = (Table::marks("marks"), Table::domain("wallet"));
        let stub = DynamoStub::start([&marks, &own], Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk));
        let outbox = Outbox::new(
            Arc::new(store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            Table::events("none"),
            marks,
        );
        let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
        let handler = WalletBalances::new(own);
        Self {
            lane: Lane {
                name: "express",
                queue_arn: "arn".into(),
                queue_url: format!("{}/lane", stub.endpoint()),
                dead_letter_queue_url: format!("{}/letters", stub.endpoint()),
            },
            runner: Runner::new(handler, outbox, queue, Settings::default()),
            stub,
        }
    }

    /// An event in a batch of its own.
    async fn consume(&self, envelope: &Value, outcome: Outcome) -> Counts {
        let now = SystemClock.now();
        let message = Message {
            message_id: "message".into(),
            receipt_handle: "receipt".into(),
            body: envelope.to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
        };
        let deadline = now.plus(Duration::from_secs(30));
        let summary = self.runner.run(&self.lane, vec![message], deadline).await;
        for finished in summary.finished {
            assert_eq!(finished.outcome, outcome);
        }
        self.stub.take_counts()
    }
}

/// A balance as of a version of its account.
fn updated(version: u64) -> Value {
    const TYPE: &str = "wallet.balance_updated";
    let registry = Registry::shipped();
    let info = registry.get(TYPE, 1).unwrap().info();
    let sample = include_str!("../../../shared/events/samples/wallet/balance-updated-v1/full.json");
    let mut payload: Value = serde_json::from_str(sample).unwrap();
    payload["version"] = json!(version);
    let id = Uuid::now_v7();
    json!({
        "event_id": id, "event_type": TYPE, "event_version": "v1", "occurred_at": SystemClock.now(),
        "producer": info.producer, "correlation_id": id, "priority": info.priority,
        "aggregate_type": info.aggregate_type, "aggregate_id": "some", "sequence": 1, "payload": payload,
    })
}

#[tokio::test]
async fn a_balance_costs_one_write_unit_in_one_call_whether_it_is_newer_or_not() {
    let bench = Bench::start().await;
    for (version, outcome, step) in [
        (2, Outcome::Done, "`wallet-balances`: a balance"),
        (1, Outcome::Ignored, "`wallet-balances`: an older balance"),
    ] {
        let counts = bench.consume(&updated(version), outcome).await;
        assert_eq!(counts.of("PutItem"), 1, "{step}");
        assert_eq!(counted(&counts), stated(step), "{step}");
    }
}
