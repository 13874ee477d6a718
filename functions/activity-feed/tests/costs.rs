//! What an event costs, as README.md says: the shipped handler, runtime and store against a DynamoDB that counts.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used)]

use std::{sync::Arc, time::Duration};

use activity_feed::handler::ActivityFeed;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use consumer::{Lane, Message, Outcome, Runner, Settings, SqsQueue};
use events::Registry;
use outbox::{Clock as _, Outbox, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use uuid::Uuid;

struct Bench {
    stub: DynamoStub,
    runner: Runner<ActivityFeed>,
    lane: Lane,
}

impl Bench {
    async fn start() -> Self {
        let (marks, own) = (Table::marks("marks"), Table::domain("activity"));
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
        let handler = ActivityFeed::new(own);
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

    async fn consume(&self, envelopes: &[Value]) -> Counts {
        let now = SystemClock.now();
        let messages = envelopes.iter().enumerate().map(|(at, envelope)| Message {
            message_id: format!("message-{at}"),
            receipt_handle: format!("receipt-{at}"),
            body: envelope.to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
        });
        let deadline = now.plus(Duration::from_secs(30));
        let summary = self
            .runner
            .run(&self.lane, messages.collect(), deadline)
            .await;
        for finished in summary.finished {
            assert_eq!(finished.outcome, Outcome::Done, "{}", finished.message_id);
        }
        self.stub.take_counts()
    }
}

fn envelope(event_type: &str, payload: &str) -> Value {
    let registry = Registry::shipped();
    let info = registry.get(event_type, 1).unwrap().info();
    let mut payload: Value = serde_json::from_str(payload).unwrap();
    if payload.get("settle_amount").is_some() {
        payload["settle_amount"] = json!(100);
    }
    let id = Uuid::now_v7();
    json!({
        "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": SystemClock.now(),
        "producer": info.producer, "correlation_id": id, "priority": info.priority,
        "aggregate_type": info.aggregate_type, "aggregate_id": "some", "sequence": 1, "payload": payload,
    })
}

macro_rules! sample {
    ($name:literal) => {
        include_str!(concat!(
            "../../../shared/events/samples/wallet/",
            $name,
            "-v1/full.json"
        ))
    };
}

#[tokio::test]
async fn an_event_costs_four_write_units_in_one_call_and_no_read() {
    let bench = Bench::start().await;
    for (event_type, payload) in [
        ("wallet.escrow_held", sample!("escrow-held")),
        ("wallet.escrow_settled", sample!("escrow-settled")),
        ("wallet.escrow_refunded", sample!("escrow-refunded")),
        (
            "wallet.escrow_partial_settled",
            sample!("escrow-partial-settled"),
        ),
    ] {
        let counts = bench.consume(&[envelope(event_type, payload)]).await;
        let calls = (counts.of("TransactWriteItems"), counts.all_calls());
        let counted = (counts.write_units, counts.read_units, calls);
        assert_eq!(counted, (4, 0, (1, 1)), "{event_type}");
    }
}

#[tokio::test]
async fn a_batch_shares_one_call() {
    let bench = Bench::start().await;
    let batch: Vec<Value> = (0..10)
        .map(|_| envelope("wallet.escrow_held", sample!("escrow-held")))
        .collect();
    let counts = bench.consume(&batch).await;
    assert_eq!((counts.write_units, counts.all_calls()), (40, 1));
}
