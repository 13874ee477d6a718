//! The payloads that Lambda sends and receives, by AWS's own examples of both events.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lambda_events::sqs::SqsEvent;
use consumer::{Lane, Lanes, queue, stream};
use lambda_runtime::{Context, LambdaEvent};
use outbox::{
    BusEntry, Clock, EntryFault, Fault, FaultKind, Publisher, Table,
    memory::{MemoryBus, MemoryStore},
    relay::{self, Relay},
};
use serde_json::{Value, json};
use testkit::TestClock;

use crate::bench::{Act, Bench, lane, minted};

fn lanes() -> Lanes {
    let standard = Lane {
        name: "standard",
        queue_arn: "arn:aws:sqs:us-east-2:123456789012:standard".into(),
        // The bench's queue expects this URL. The lanes differ in their ARNs and dead-letter queues.
        queue_url: lane().queue_url,
        dead_letter_queue_url: "https://queues/standard-letters".into(),
    };
    Lanes(vec![lane(), standard])
}

fn sqs_event() -> Value {
    let mut event: Value =
        serde_json::from_str(include_str!("fixtures/sqs-event.json")).expect("JSON");
    event["Records"][0]["body"] = minted(1).to_string().into();
    event["Records"][1]["body"] = minted(2).to_string().into();
    event
}

fn invocation(event: Value, bench: &Bench) -> LambdaEvent<SqsEvent> {
    let mut context = Context::default();
    let deadline = bench.clock.now().plus(std::time::Duration::from_secs(30));
    context.deadline = u64::try_from(deadline.unix_millis()).expect("after 1970");
    LambdaEvent::new(
        serde_json::from_value(event).expect("an SQS event"),
        context,
    )
}

#[tokio::test(start_paused = true)]
async fn a_batch_is_answered_with_the_ids_of_what_must_come_back_and_no_other() {
    let bench = Bench::new();
    bench.script.decide([Act::Succeed, Act::Retry]);
    let response = queue::invoke(&bench.runner, &lanes(), invocation(sqs_event(), &bench))
        .await
        .expect("answered");
    let wire = serde_json::to_value(&response).expect("JSON");
    let failed = "2e1424d4-f796-459a-8184-9c92662be6da";
    assert_eq!(
        wire,
        json!({"batchItemFailures": [{"itemIdentifier": failed}]})
    );
    // The second message's receive count was read from the event.
    assert_eq!(bench.script.decided()[1].1, 2);
    let letters = bench.queues.letters.lock().unwrap().clone();
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0].0, "https://queues/express-letters");
    assert_eq!(letters[0].1.body, "not an envelope");
    assert_eq!(
        letters[0].1.first_received_at.to_string(),
        "2026-01-01T00:00:00.100Z"
    );
}

#[tokio::test(start_paused = true)]
async fn a_batch_without_failures_is_answered_with_an_empty_list() {
    let bench = Bench::new();
    let response = queue::invoke(&bench.runner, &lanes(), invocation(sqs_event(), &bench))
        .await
        .expect("answered");
    assert_eq!(
        serde_json::to_value(&response).expect("JSON"),
        json!({"batchItemFailures": []})
    );
    assert_eq!(bench.effects(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_message_of_a_queue_that_is_no_lane_fails_the_invocation_before_anything_is_begun() {
    let bench = Bench::new();
    let mut event = sqs_event();
    event["Records"][2]["eventSourceARN"] = json!("arn:aws:sqs:us-east-2:123456789012:elsewhere");
    let error = queue::invoke(&bench.runner, &lanes(), invocation(event, &bench))
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("elsewhere") && error.to_string().contains("scripted"),
        "{error}"
    );
    assert_eq!(bench.effects(), 0);
    assert!(bench.letters().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_message_without_its_counts_fails_the_invocation_before_anything_is_begun() {
    let bench = Bench::new();
    let mut event = sqs_event();
    event["Records"][1]["attributes"]
        .as_object_mut()
        .expect("attributes")
        .remove("ApproximateReceiveCount");
    let error = queue::invoke(&bench.runner, &lanes(), invocation(event, &bench))
        .await
        .expect_err("refused");
    assert!(
        error.to_string().contains("ApproximateReceiveCount"),
        "{error}"
    );
    assert_eq!(bench.effects(), 0);
}

struct Closed;

#[async_trait]
impl Publisher for Closed {
    async fn publish(&self, _: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        Err(Fault::new(
            FaultKind::Unavailable,
            "events PutEvents",
            "closed",
        ))
    }
}

fn stream_event() -> aws_lambda_events::dynamodb::Event {
    let text = include_str!("fixtures/dynamodb-event.json");
    let mut event: Value = serde_json::from_str(text).expect("JSON");
    for (at, number) in [(0, 1), (1, 2)] {
        event["Records"][at]["dynamodb"]["NewImage"]["envelope"]["S"] =
            minted(number).to_string().into();
    }
    serde_json::from_value(event).expect("a stream's event")
}

fn relay(publisher: Arc<dyn Publisher>, store: &Arc<MemoryStore>) -> Relay {
    let clock = Arc::new(TestClock::new(1)) as Arc<dyn Clock>;
    let store = Arc::clone(store) as Arc<dyn outbox::Store>;
    Relay::new(
        publisher,
        store,
        Table::events("events"),
        clock,
        relay::Settings::default(),
    )
}

#[tokio::test]
async fn an_inserted_row_is_published_and_our_own_record_of_it_is_not() {
    let (bus, store) = (Arc::new(MemoryBus::new()), Arc::new(MemoryStore::new()));
    let relay = relay(Arc::clone(&bus) as Arc<dyn Publisher>, &store);
    stream::invoke(&relay, "test", stream_event())
        .await
        .expect("relayed");
    let entries = bus.entries();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].detail, minted(1).to_string());
    let rows = store.items(&Table::events("events"));
    assert_eq!((rows.len(), &rows[0]["sequence"]), (1, &json!(1)));
    assert!(rows[0]["published_at"].is_string());
}

#[tokio::test]
async fn what_cannot_be_published_fails_the_invocation_so_that_the_stream_sends_it_again() {
    let store = Arc::new(MemoryStore::new());
    let relay = relay(Arc::new(Closed), &store);
    let error = stream::invoke(&relay, "test", stream_event())
        .await
        .expect_err("again");
    assert!(
        error
            .to_string()
            .contains("1 events could not be published"),
        "{error}"
    );
    assert!(store.items(&Table::events("events")).is_empty());
}
