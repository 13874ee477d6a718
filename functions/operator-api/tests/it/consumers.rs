//! Pauses and resumes consumers as callers do, over mappings in memory.

use std::sync::Arc;

use mappings::{MappingState, MemoryMappings, Polling};
use outbox::FaultKind;
use serde_json::{Value, json};
use testkit::service::Service;

use crate::http::service_with;

const CONSUMERS: &str = "/api/v1/consumers";
const ANALYTICS: &str = "mill_analytics";

async fn start() -> (Service, Arc<MemoryMappings>) {
    let mappings = MemoryMappings::new()
        .with(ANALYTICS, 2)
        .with("mill_heartbeat-arrival", 1);
    let mappings = Arc::new(mappings);
    (service_with(Arc::clone(&mappings)).await, mappings)
}

fn why(reason: &str) -> Value {
    json!({ "reason": reason })
}

/// What is listed of a consumer.
async fn listed(service: &Service, consumer: &str) -> Value {
    let list = service.get(CONSUMERS).await;
    assert_eq!(list.status, 200, "{list:?}");
    let mut items = list.body["items"].as_array().unwrap().iter();
    items
        .find(|one| one["consumer"] == consumer)
        .unwrap_or_else(|| panic!("{consumer} is not listed: {list:?}"))
        .clone()
}

#[tokio::test]
async fn a_consumer_is_paused_and_resumed_and_the_events_tell_who_and_why() {
    let (service, mappings) = start().await;
    let running = listed(&service, "analytics").await;
    let lanes = json!(["express", "standard"]);
    assert_eq!(
        (&running["lanes"], &running["paused"]),
        (&lanes, &Value::Null)
    );

    let request = service
        .request(http::Method::POST, "/api/v1/consumers/analytics/pause")
        .header("idempotency-key", "p")
        .header("x-user-id", "ada");
    let paused = service.send(request, &why("It counts twice.")).await;
    assert_eq!(paused.status, 200, "{paused:?}");
    assert_eq!(
        (&paused.body["consumer"], &paused.body["status"]),
        (&json!("analytics"), &json!("paused"))
    );
    assert_eq!(
        (&paused.body["applied"], &paused.body["note"]),
        (&json!(true), &Value::Null)
    );
    assert_eq!(mappings.states(ANALYTICS), [MappingState::Disabled; 2]);
    assert_eq!(
        listed(&service, "analytics").await["paused"],
        json!({
            "since": paused.body["since"], "reason": "It counts twice.", "actor": "ada", "key_owner": "billing"
        })
    );
    assert_eq!(listed(&service, "event-feed").await["paused"], Value::Null);

    let path = "/api/v1/consumers/analytics/resume";
    let resumed = service.post(path, "r", &why("It is corrected.")).await;
    assert_eq!(
        (resumed.status.as_u16(), &resumed.body["status"]),
        (200, &json!("running"))
    );
    assert_eq!(mappings.states(ANALYTICS), [MappingState::Enabled; 2]);
    assert_eq!(listed(&service, "analytics").await["paused"], Value::Null);

    let history = service.history("consumer#analytics").await;
    let told: Vec<(&str, Value)> = history
        .iter()
        .map(|event| {
            let payload = serde_json::from_str(event.payload.json()).unwrap();
            (event.event_type.as_str(), payload)
        })
        .collect();
    assert_eq!(
        told,
        [
            (
                "consumer.paused",
                json!({
                    "consumer": "analytics", "reason": "It counts twice.", "actor": "ada", "key_owner": "billing", "version": 1
                })
            ),
            (
                "consumer.resumed",
                json!({ "consumer": "analytics", "reason": "It is corrected.", "key_owner": "billing", "version": 2 })
            ),
        ]
    );
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_a_second_pause_is_refused() {
    let (service, mappings) = start().await;
    let path = "/api/v1/consumers/analytics/pause";
    let first = service.post(path, "p", &why("one")).await;
    let again = service.post(path, "p", &why("one")).await;
    assert!(again.is_replayed() && again.body == first.body, "{again:?}");
    assert_eq!(mappings.asked().len(), 2, "each mapping once");
    let other = service.post(path, "p", &why("two")).await;
    assert_eq!(other.refusal(), (422, "idempotency-key-reused"));

    let second = service.post(path, "q", &why("two")).await;
    assert_eq!(second.refusal(), (409, "illegal-transition"));
    assert_eq!(
        (
            &second.body["from"],
            &second.body["to"],
            &second.body["allowed"]
        ),
        (&json!("paused"), &json!("paused"), &json!(["running"]))
    );
    let resume = "/api/v1/consumers/event-feed/resume";
    let running = service.post(resume, "r", &why("two")).await;
    assert_eq!(running.refusal(), (409, "illegal-transition"));
    assert_eq!(running.body["allowed"], json!(["paused"]));
    assert_eq!(service.history("consumer#analytics").await.len(), 1);
    assert!(service.history("consumer#event-feed").await.is_empty());
}

#[tokio::test]
async fn an_old_request_that_is_repeated_does_not_undo_a_newer_one() {
    let (service, mappings) = start().await;
    let (pause, resume) = (
        "/api/v1/consumers/analytics/pause",
        "/api/v1/consumers/analytics/resume",
    );
    service.post(pause, "p", &why("one")).await;
    service.post(resume, "r", &why("two")).await;
    let repeated = service.post(pause, "p", &why("one")).await;
    assert!(repeated.is_replayed());
    assert_eq!(repeated.body["status"], "paused");
    assert_eq!(mappings.states(ANALYTICS), [MappingState::Enabled; 2]);
}

#[tokio::test]
async fn what_lambda_does_not_take_is_wished_nevertheless_and_a_repeat_applies_it() {
    let (service, mappings) = start().await;
    let path = "/api/v1/consumers/analytics/pause";
    mappings.fail(Some(FaultKind::Unavailable));
    let paused = service.post(path, "p", &why("one")).await;
    assert_eq!(
        (paused.status.as_u16(), &paused.body["applied"]),
        (200, &json!(false))
    );
    assert_eq!(
        listed(&service, "analytics").await["paused"]["reason"],
        "one"
    );
    mappings.fail(None);
    mappings.set_busy(true);
    let again = service.post(path, "p", &why("one")).await;
    assert_eq!(
        (again.is_replayed(), &again.body["applied"]),
        (true, &json!(false))
    );
    mappings.set_busy(false);
    let again = service.post(path, "p", &why("one")).await;
    assert_eq!(
        (again.is_replayed(), &again.body["applied"]),
        (true, &json!(true))
    );
    assert_eq!(mappings.states(ANALYTICS), [MappingState::Disabled; 2]);
    let asked = mappings.asked();
    assert!(asked.iter().all(|(_, wanted)| *wanted == Polling::Disabled));
}

#[tokio::test]
async fn who_pauses_the_consumer_of_the_heartbeat_is_told_that_its_alarm_rings() {
    let (service, _) = start().await;
    let path = "/api/v1/consumers/heartbeat-arrival";
    let paused = service
        .post(&format!("{path}/pause"), "p", &why("one"))
        .await;
    let note = paused.body["note"].as_str().unwrap_or_default();
    assert!(note.contains("heartbeat-missing"), "{paused:?}");
    let resumed = service
        .post(&format!("{path}/resume"), "r", &why("two"))
        .await;
    assert_eq!(resumed.body["note"], Value::Null);
}

#[tokio::test]
async fn an_unknown_consumer_is_named_with_the_nearest() {
    let (service, mappings) = start().await;
    for step in ["pause", "resume"] {
        let path = format!("/api/v1/consumers/analytic/{step}");
        let unknown = service.post(&path, step, &why("one")).await;
        assert_eq!(unknown.refusal(), (404, "not-found"));
        assert_eq!(
            (&unknown.body["consumer"], &unknown.body["nearest"]),
            (&json!("analytic"), &json!("analytics"))
        );
    }
    // A function that is no consumer, and a consumer that is not deployed.
    for name in ["system-api", "cloud-treasury"] {
        let path = format!("/api/v1/consumers/{name}/pause");
        let unknown = service.post(&path, name, &why("one")).await;
        assert_eq!(unknown.refusal(), (404, "not-found"));
    }
    let malformed = service
        .post("/api/v1/consumers/A_B/pause", "m", &why("one"))
        .await;
    assert_eq!(malformed.refusal(), (400, "invalid-parameter"));
    let no_reason = service
        .post("/api/v1/consumers/analytics/pause", "n", &json!({}))
        .await;
    assert_eq!(
        (no_reason.status.as_u16(), no_reason.pointers()),
        (422, vec!["/reason"])
    );
    assert!(mappings.asked().is_empty());
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let (mut service, _) = start().await;
    let path = "/api/v1/consumers/analytics/pause";
    service.use_key(&["consumers:read", "letters:write"]).await;
    assert_eq!(service.get(CONSUMERS).await.status, 200);
    assert_eq!(service.post(path, "p", &why("one")).await.status, 403);
    service.use_key(&["consumers:write"]).await;
    assert_eq!(service.get(CONSUMERS).await.status, 403);
    assert_eq!(service.post(path, "p", &why("one")).await.status, 200);
}
