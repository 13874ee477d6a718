//! Tests an event whose type, aggregate and idempotency key are so long together that no consumer could mark it.

use std::sync::Arc;

use event_ingest::ingest::{Ingest, Sender};
use events::{AggregateId, Cause, OUTSIDE, Registry, Retention};
use outbox::{Outbox, Table, memory::MemoryStore};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::to_raw_value};
use testkit::TestClock;

events::contracts! {
    kept Retention::Forever;
    Noted: "erp.noted", Normal, OUTSIDE, "erp_note" [note_id];
}

/// A note was taken.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Noted {
    /// Its id.
    note_id: AggregateId,
}

fn noted(note: &str, key: &str) -> Value {
    json!({
        "event_type": "erp.noted", "event_version": "v1", "producer": "erp.cluj", "event_id": crate::ID,
        "idempotency_key": key, "payload": { "note_id": note },
    })
}

/// The status of the event, and the pointers of its violations.
async fn taken(event: &Value) -> (Value, Vec<Value>) {
    let outbox = Outbox::new(
        Arc::new(MemoryStore::new()),
        Arc::new(TestClock::new(1)),
        Arc::new(Registry::new(registered())),
        Table::events("events"),
        Table::marks("marks"),
    );
    let ingest = Ingest::new(outbox, Table::domain("ingest"));
    let sender = Sender {
        repeat_key: Vec::new(),
        cause: Cause::default(),
    };
    let body = to_raw_value(event).unwrap();
    let receipt = json!(ingest.take(&body, &sender).await.unwrap());
    let one = &receipt["items"][0];
    let violations = one["problem"]["violations"].as_array();
    let pointers = violations.into_iter().flatten();
    (
        one["status"].clone(),
        pointers.map(|one| one["pointer"].clone()).collect(),
    )
}

#[tokio::test]
async fn an_event_that_no_consumer_could_mark_is_refused_at_its_key() {
    // 256 and 255 characters of four bytes each.
    let text = |characters: usize| "\u{1f4e6}".repeat(characters);
    for (note, key) in [(text(256), "k".to_owned()), ("n-1".to_owned(), text(255))] {
        assert_eq!(
            taken(&noted(&note, &key)).await,
            (json!("accepted"), vec![])
        );
    }
    let event = noted(&text(256), &text(255));
    let pointer = vec![json!("/idempotency_key")];
    assert_eq!(taken(&event).await, (json!("rejected"), pointer));
    let cloudevent = json!({
        "specversion": "1.0", "id": crate::ID, "type": "erp.noted", "source": "erp.cluj",
        "data": event["payload"], "idempotencykey": event["idempotency_key"],
    });
    let pointer = vec![json!("/idempotencykey")];
    assert_eq!(taken(&cloudevent).await, (json!("rejected"), pointer));
}
