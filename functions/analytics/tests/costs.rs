//! What an event costs, as README.md says: the shipped handler, runtime and store against a DynamoDB that counts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout
)]

use std::{sync::Arc, time::Duration};

use analytics::handler::Analytics;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use consumer::{Lane, Message, Outcome, Runner, Settings, SqsQueue};
use events::Registry;
use outbox::{Clock as _, Outbox, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use uuid::Uuid;

struct Bench {
    stub: DynamoStub,
    runner: Runner<Analytics>,
    lane: Lane,
}

impl Bench {
    async fn start() -> Self {
        let (marks, own) = (Table::marks("marks"), Table::domain("analytics"));
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
        let handler = Analytics::new(own);
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

fn envelope(event_type: &str, payload: &str, member: usize) -> Value {
    let registry = Registry::shipped();
    let info = registry.get(event_type, 1).unwrap().info();
    let mut payload: Value = serde_json::from_str(payload).unwrap();
    if payload.get("member_id").is_some() {
        payload["member_id"] = json!(format!("member-{member}"));
    }
    let id = Uuid::now_v7();
    json!({
        "event_id": id, "event_type": event_type, "event_version": "v1", "occurred_at": SystemClock.now(),
        "producer": info.producer, "correlation_id": id, "priority": info.priority,
        "aggregate_type": info.aggregate_type, "aggregate_id": "some", "sequence": 1, "payload": payload,
    })
}

macro_rules! sample {
    ($path:literal) => {
        include_str!(concat!(
            "../../../shared/events/samples/",
            $path,
            "-v1/full.json"
        ))
    };
}

#[tokio::test]
async fn an_event_costs_two_write_units_for_the_mark_and_for_each_row_in_one_call() {
    let bench = Bench::start().await;
    for (event_type, payload, units) in [
        (
            "alert.treasury_backing_low",
            sample!("alert/treasury-backing-low"),
            4,
        ),
        (
            "cloud.rate_card_created",
            sample!("cloud/rate-card-created"),
            6,
        ),
        ("cloud.minted", sample!("cloud/minted"), 6),
        ("cloud.redeemed", sample!("cloud/redeemed"), 6),
        ("cloud.transferred", sample!("cloud/transferred"), 8),
        ("wallet.escrow_held", sample!("wallet/escrow-held"), 6),
        ("wallet.escrow_settled", sample!("wallet/escrow-settled"), 8),
        (
            "wallet.escrow_partial_settled",
            sample!("wallet/escrow-partial-settled"),
            8,
        ),
    ] {
        let counts = bench.consume(&[envelope(event_type, payload, 0)]).await;
        let calls = (counts.of("TransactWriteItems"), counts.all_calls());
        let counted = (counts.write_units, counts.read_units, calls);
        assert_eq!(counted, (units, 0, (1, 1)), "{event_type}");
    }
}

#[tokio::test]
async fn full_batches_share_their_calls_as_far_as_the_shards_let_them() {
    const BATCHES: usize = 60;
    let bench = Bench::start().await;
    let (mut units, mut calls) = (0, 0);
    for _ in 0..BATCHES {
        let batch: Vec<Value> = (0..10)
            .map(|member| envelope("cloud.minted", sample!("cloud/minted"), member))
            .collect();
        let counts = bench.consume(&batch).await;
        units += counts.write_units;
        calls += counts.all_calls();
    }
    let events = BATCHES * 10;
    assert_eq!(units, 6 * u64::try_from(events).unwrap());
    // Ten events of one type meet in eight shards: the fullest holds about three. One call for each would be 600.
    assert!((120..240).contains(&calls), "{calls} calls");
}
