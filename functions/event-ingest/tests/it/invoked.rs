//! Tests events by invocation and from a rule of a bus.

use api::Direct as _;
use event_ingest::direct::Invoked;
use serde_json::{Value, json};

use crate::{ID, counted, ingest, service, with_id};

fn of_bus(id: &str, detail: &Value) -> Value {
    json!({
        "version": "0", "id": id, "detail-type": "stock counted", "source": "com.example.erp", "account": "123456789012",
        "time": "2026-11-28T20:00:00Z", "region": "eu-central-1", "resources": [], "detail": detail,
    })
}

#[tokio::test]
async fn a_service_invokes_the_function_and_reads_what_became_of_each() {
    let service = service().await;
    let invoked = Invoked::new(ingest(service.outbox()));
    let mut claims = with_id(counted("A-1", 3), ID);
    claims["metadata"] = json!({ "api_key_owner": "somebody", "shelf": "7" });
    let payload = json!({ "events": [claims, counted("A-1", 4)] });
    let answer = invoked.invoked(payload.clone()).await.unwrap();
    assert_eq!(answer["items"][0]["status"], "accepted");
    assert_eq!(answer["items"][1]["status"], "rejected");
    let violation = &answer["items"][1]["problem"]["violations"][0];
    assert_eq!(
        violation["pointer"], "/event_id",
        "nothing else would identify a repeat"
    );
    let mut keyed = payload;
    keyed["idempotency_key"] = "call 7".into();
    for status in ["accepted", "duplicate"] {
        let answer = invoked.invoked(keyed.clone()).await.unwrap();
        assert_eq!(answer["items"][0]["status"], "duplicate");
        assert_eq!(answer["items"][1]["status"], status);
    }
    let events = service.history("erp_stock#A-1").await;
    assert_eq!(events.len(), 2);
    let other = &events[0].metadata.as_ref().unwrap().other;
    assert!(
        !other.contains_key("api_key_owner") && other["shelf"] == "7",
        "there was no key"
    );
}

#[tokio::test]
async fn an_event_of_a_bus_is_taken_once_and_one_that_is_refused_fails_the_invocation() {
    let service = service().await;
    let invoked = Invoked::new(ingest(service.outbox()));
    let event = of_bus("6a7e8feb-b491-4cf7-a9f1-bf3703467718", &counted("A-1", 3));
    for status in ["accepted", "duplicate"] {
        let answer = invoked.invoked(event.clone()).await.unwrap();
        assert_eq!(answer["items"][0]["status"], status);
    }
    let mut closed = counted("A-1", 3);
    closed["event_type"] = "cloud.minted".into();
    let refused = invoked.invoked(of_bus("1", &closed)).await;
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("closed-contract"), "{message}");
    let refused = invoked.invoked(of_bus("2", &json!([]))).await;
    assert!(refused.is_err(), "nothing in it");
    assert_eq!(service.history("erp_stock#A-1").await.len(), 1);
}
