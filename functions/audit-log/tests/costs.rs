//! What an event costs, as README.md says: the shipped handler, runtime and store against a DynamoDB that counts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{sync::Arc, time::Duration};

use audit_log::handler::AuditLog;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use consumer::{Lane, Message, Outcome, Runner, Settings, SqsQueue};
use events::Registry;
use outbox::{Clock as _, Outbox, Store, SystemClock, Table, dynamo::DynamoStore};
use serde_json::{Value, json};
use testkit::dynamo_stub::{Counts, DynamoStub};
use uuid::Uuid;

const SAMPLE: &str = include_str!("../../../shared/events/samples/cloud/minted-v1/full.json");

struct Bench {
    stub: DynamoStub,
    store: Arc<DynamoStore>,
    runner: Runner<AuditLog>,
    lane: Lane,
}

impl Bench {
    async fn start() -> Self {
        let (events, marks) = (Table::events("events"), Table::marks("marks"));
        let audit = Table::domain("audit");
        let stub = DynamoStub::start([&events, &marks, &audit], Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
        let outbox = Outbox::new(
            Arc::clone(&store) as _,
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            events,
            marks,
        );
        let queue = Arc::new(SqsQueue::new(aws_sdk_sqs::Client::new(&sdk)));
        let handler = AuditLog::new(outbox.clone(), audit);
        Self {
            lane: Lane {
                name: "express",
                queue_arn: "arn".into(),
                queue_url: format!("{}/lane", stub.endpoint()),
                dead_letter_queue_url: format!("{}/letters", stub.endpoint()),
            },
            runner: Runner::new(handler, outbox, queue, Settings::default()),
            store,
            stub,
        }
    }

    /// Logs an event and hands its message in.
    async fn event(&self, sequence: u64) -> Counts {
        let payload: Value = serde_json::from_str(SAMPLE).unwrap();
        let (id, now) = (Uuid::now_v7(), SystemClock.now());
        let envelope = json!({
            "event_id": id, "event_type": "cloud.minted", "event_version": "v1", "occurred_at": now,
            "producer": "cloud-api", "correlation_id": id, "priority": "high", "aggregate_type": "cloud_account",
            "aggregate_id": payload["member_id"], "sequence": sequence, "payload": payload,
        });
        let aggregate = format!("cloud_account#{}", payload["member_id"].as_str().unwrap());
        let row = json!({
            "aggregate": aggregate, "sequence": sequence, "envelope": envelope.to_string(), "event_id": id,
            "event_type": "cloud.minted", "committed_at": now,
        });
        let events = Table::events("events");
        let item = row.as_object().unwrap().clone();
        self.store.put_all(&events, &[item]).await.unwrap();
        drop(self.stub.take_counts());
        let message = Message {
            message_id: format!("message-{sequence}"),
            receipt_handle: format!("receipt-{sequence}"),
            body: envelope.to_string(),
            receive_count: 1,
            sent_at: now,
            first_received_at: now,
        };
        let deadline = now.plus(Duration::from_secs(30));
        let summary = self.runner.run(&self.lane, vec![message], deadline).await;
        assert_eq!(summary.finished[0].outcome, Outcome::Done);
        self.stub.take_counts()
    }
}

#[tokio::test]
async fn an_event_costs_six_write_units_and_three_reads() {
    let bench = Bench::start().await;
    for sequence in 1..=3 {
        let counts = bench.event(sequence).await;
        let calls = ["TransactWriteItems", "GetItem", "Query"].map(|one| counts.of(one));
        assert_eq!((calls, counts.all_calls()), ([1, 2, 1], 4), "{sequence}");
        assert_eq!(
            (counts.write_units, counts.read_units),
            (6, 3),
            "{sequence}"
        );
    }
}
