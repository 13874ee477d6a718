//! `POST /api/v1/events`.

use events::Timestamp;
use http::Method;
use outbox::Clock as _;
use serde_json::{Value, json};
use testkit::service::Service;

use crate::{ID, counted, service, with_id};

const PATH: &str = "/api/v1/events";

/// The status and the sequence of each item.
fn items(body: &Value) -> Vec<(&str, Option<u64>)> {
    let items = body["items"].as_array().unwrap().iter();
    items
        .map(|item| (item["status"].as_str().unwrap(), item["sequence"].as_u64()))
        .collect()
}

async fn numbers(service: &Service, sku: &str) -> Vec<u64> {
    let events = service.history(&format!("erp_stock#{sku}")).await;
    events.iter().map(|event| event.sequence.number()).collect()
}

#[tokio::test]
async fn what_an_event_lacks_is_filled_in_and_its_sender_stands_in_it() {
    let service = service().await;
    let chain = "11111111-2222-4333-8444-555555555555";
    let request = service
        .request(Method::POST, PATH)
        .header("idempotency-key", "a")
        .header("x-correlation-id", chain)
        .header("x-tenant-id", "acme")
        .header("x-user-id", "ada");
    let mut event = counted("A-1", 3);
    event["metadata"] =
        json!({ "user_id": "counter 7", "api_key_owner": "somebody else", "shelf": "7" });
    let answer = service.send(request, &event).await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(items(&answer.body), [("accepted", Some(1))]);
    let events = service.history("erp_stock#A-1").await;
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    assert_eq!(
        event.event_id.to_string(),
        answer.body["items"][0]["event_id"]
    );
    assert_eq!(event.correlation_id.to_string(), chain);
    assert_eq!(event.producer.as_str(), "erp.cluj");
    assert_eq!(
        event.producer_version, None,
        "only the producer knows its version"
    );
    let metadata = event.metadata.as_ref().unwrap();
    let text = |text: &Option<events::Text<256>>| text.as_ref().map(ToString::to_string);
    assert_eq!(text(&metadata.user_id).as_deref(), Some("counter 7"));
    assert_eq!(text(&metadata.tenant_id).as_deref(), Some("acme"));
    assert_eq!(
        metadata.other["api_key_owner"], "billing",
        "the event cannot choose the key's owner"
    );
    assert_eq!(metadata.other["shelf"], "7");
}

#[tokio::test]
async fn a_call_sent_again_takes_nothing_twice() {
    let service = service().await;
    let call = json!([counted("A-1", 3), counted("A-1", 4), counted("B-2", 1)]);
    let first = service.post(PATH, "a", &call).await;
    let accepted = [
        ("accepted", Some(1)),
        ("accepted", Some(2)),
        ("accepted", Some(1)),
    ];
    assert_eq!(items(&first.body), accepted);
    let again = service.post(PATH, "a", &json!({ "events": call })).await;
    let duplicate = [
        ("duplicate", Some(1)),
        ("duplicate", Some(2)),
        ("duplicate", Some(1)),
    ];
    assert_eq!(items(&again.body), duplicate);
    assert_eq!(numbers(&service, "A-1").await, [1, 2]);
    // The same key, with another event in the first position.
    let other = service.post(PATH, "a", &counted("A-1", 9)).await;
    assert_eq!(other.refusal(), (409, "event-id-reused"));
    assert_eq!(numbers(&service, "A-1").await, [1, 2]);
}

#[tokio::test]
async fn an_id_and_a_fact_guard_repeats_whoever_sends_them_and_in_whatever_form() {
    let service = service().await;
    let event = with_id(counted("A-1", 3), ID);
    let first = service.post(PATH, "a", &event).await;
    assert_eq!(items(&first.body), [("accepted", Some(1))]);
    let cloudevent = json!({
        "specversion": "1.0", "id": ID, "type": "erp.stock_counted", "source": "erp.cluj", "data": event["payload"],
    });
    let again = service.post(PATH, "b", &cloudevent).await;
    assert_eq!(items(&again.body), [("duplicate", Some(1))]);
    let mut fact = counted("A-1", 5);
    fact["idempotency_key"] = "count/117".into();
    assert_eq!(
        items(&service.post(PATH, "c", &fact).await.body),
        [("accepted", Some(2))]
    );
    // Another id. A fact is found even after the marks have expired.
    let again = service.post(PATH, "d", &fact).await;
    assert_eq!(items(&again.body), [("duplicate", Some(2))]);
    fact["payload"]["sku"] = "B-2".into();
    let other = service.post(PATH, "e", &fact).await;
    assert_eq!(
        items(&other.body),
        [("accepted", Some(1))],
        "a fact of another aggregate"
    );
    assert_eq!(numbers(&service, "A-1").await, [1, 2]);
}

#[tokio::test]
async fn the_good_events_of_a_call_are_taken_and_each_other_is_told_why_not() {
    let service = service().await;
    let sample = |path: &str| -> Value { serde_json::from_str(path).unwrap() };
    let funded = sample(include_str!(
        "../../../../shared/events/samples/loan/funded-v1/full.json"
    ));
    let mut malformed = counted("A-1", 1);
    malformed["event_id"] = "550e8400".into();
    malformed["payload"]["counted_quantity"] = (-1).into();
    let call = json!([
        counted("A-1", 3),
        { "event_type": "loan.funded", "event_version": "v1", "producer": "mallory", "payload": funded },
        malformed,
        { "event_type": "erp.stock_count", "event_version": "v1", "producer": "erp", "payload": {} },
        { "specversion": "1.0", "id": "1", "source": "erp", "type": "erp.stock_counted", "data": {} },
        counted("A-1", 4),
    ]);
    let answer = service.post(PATH, "a", &call).await;
    assert_eq!(answer.status, 200);
    let statuses: Vec<&str> = items(&answer.body)
        .into_iter()
        .map(|(status, _)| status)
        .collect();
    let rejected = "rejected";
    assert_eq!(
        statuses,
        [
            "accepted", rejected, rejected, rejected, rejected, "accepted"
        ]
    );
    assert_eq!(numbers(&service, "A-1").await, [1, 2]);
    assert!(
        service
            .history("loan#0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60")
            .await
            .is_empty()
    );
    let problem = |at: usize| &answer.body["items"][at]["problem"];
    assert_eq!(problem(1)["status"], 403);
    assert_eq!(problem(1)["type"], "urn:millrace:problem:closed-contract");
    assert_eq!(problem(1)["producer"], "loan-api");
    let pointers = |at: usize| -> Vec<&str> {
        let violations = problem(at)["violations"].as_array().unwrap().iter();
        violations
            .map(|one| one["pointer"].as_str().unwrap())
            .collect()
    };
    assert_eq!(pointers(2), ["/event_id", "/payload/counted_quantity"]);
    let unknown = &problem(3)["violations"][0]["message"];
    assert!(
        unknown.as_str().unwrap().contains("erp.stock_counted"),
        "{unknown}"
    );
    assert_eq!(
        pointers(4),
        ["/data/counted_at", "/data/counted_quantity", "/data/sku"]
    );
}

#[tokio::test]
async fn of_one_event_the_problem_is_the_answer() {
    let mut service = service().await;
    let mut closed = counted("A-1", 1);
    closed["event_type"] = "cloud.minted".into();
    let answer = service.post(PATH, "a", &closed).await;
    assert_eq!(answer.refusal(), (403, "closed-contract"));
    assert_eq!(answer.body["producer"], "cloud-api");
    let answer = service.post(PATH, "b", &json!({})).await;
    assert_eq!(answer.refusal(), (422, "invalid-request"));
    // A misspelt field name must not switch a safeguard off.
    let mut slip = counted("A-1", 1);
    slip["idempotencyKey"] = "count/117".into();
    let answer = service.post(PATH, "b2", &slip).await;
    assert_eq!(answer.pointers(), ["/idempotencyKey"]);
    let mut large = counted("A-1", 1);
    large["metadata"] = json!({ "notes": "x".repeat(events::MAX_ENVELOPE_BYTES) });
    let answer = service.post(PATH, "c", &large).await;
    assert_eq!(answer.refusal(), (413, "event-too-large"));
    // The event is below the limit until the rest of the envelope is added.
    large["metadata"] = json!({ "notes": "x".repeat(events::MAX_ENVELOPE_BYTES - 400) });
    let answer = service.post(PATH, "d", &large).await;
    assert_eq!(answer.refusal(), (413, "event-too-large"));
    let many: Vec<Value> = (0..26).map(|at| counted("A-1", at)).collect();
    let answer = service.post(PATH, "e", &json!(many)).await;
    assert_eq!(answer.refusal(), (413, "too-many-events"));
    let text = "x".repeat(api::MAX_BODY_BYTES);
    let answer = service.post(PATH, "f", &json!([text])).await;
    assert_eq!(answer.refusal(), (413, "body-too-large"));
    for empty in [
        json!([]),
        json!({ "events": [] }),
        json!("text"),
        json!({ "events": 7 }),
    ] {
        let answer = service.post(PATH, "g", &empty).await;
        assert_eq!(answer.status, 422, "{empty}: {answer:?}");
    }
    let request = service.request(Method::POST, PATH);
    let answer = service.send(request, &counted("A-1", 1)).await;
    assert_eq!(answer.status, 400, "no Idempotency-Key");
    service.use_key(&["events:read"]).await;
    let answer = service.post(PATH, "h", &counted("A-1", 1)).await;
    assert_eq!(answer.refusal(), (403, "missing-scope"));
    assert!(service.history("erp_stock#A-1").await.is_empty());
}

#[tokio::test]
async fn callers_at_the_same_time_number_without_gaps() {
    let service = service().await;
    let calls = (0..20).map(|at| {
        let service = &service;
        async move {
            service
                .post(PATH, &format!("k{at}"), &counted("A-1", at))
                .await
        }
    });
    for answer in futures::future::join_all(calls).await {
        // A command that ran out of attempts is reported as failed, and can be sent again.
        assert!(
            answer.status == 200 || answer.refusal() == (503, "contention"),
            "{answer:?}"
        );
    }
    let numbers = numbers(&service, "A-1").await;
    assert!(!numbers.is_empty());
    let whole: Vec<u64> = (1..=numbers.len() as u64).collect();
    assert_eq!(numbers, whole);
    assert!(service.store().cancelled() > 0, "they met");
}

#[tokio::test]
async fn behind_an_event_that_failed_none_of_its_aggregate_is_taken_until_the_call_comes_again() {
    let service = service().await;
    let call = json!([counted("A-1", 1), counted("A-1", 2)]);
    service.store().lose_answers(true);
    let answer = service.post(PATH, "a", &call).await;
    assert_eq!(items(&answer.body), [("failed", None), ("failed", None)]);
    service.store().lose_answers(false);
    let answer = service.post(PATH, "a", &call).await;
    // Of the first event, only the answer was lost.
    assert_eq!(
        items(&answer.body),
        [("duplicate", Some(1)), ("accepted", Some(2))]
    );
    assert_eq!(numbers(&service, "A-1").await, [1, 2]);
}

#[tokio::test]
async fn an_event_whose_repeat_could_not_be_told_from_it_is_refused() {
    let service = service().await;
    let now = service.clock().now();
    let day = 86_400_000;
    for (days, taken) in [(-45, false), (-43, true), (2, false)] {
        let at = Timestamp::from_unix_millis(now.unix_millis() + days * day).unwrap();
        let mut native = counted("A-1", 3);
        native["occurred_at"] = at.to_string().into();
        let cloudevent = json!({
            "specversion": "1.0", "id": format!("count-{days}"), "source": "erp.cluj", "type": "erp.stock_counted",
            "time": at.to_string(), "data": native["payload"],
        });
        for (event, place) in [(native, "/occurred_at"), (cloudevent, "/time")] {
            let answer = service.post(PATH, &format!("{days}{place}"), &event).await;
            assert_eq!(answer.status == 200, taken, "{days}: {:?}", answer.body);
            if !taken {
                assert_eq!(answer.status, 422);
                assert_eq!(answer.body["violations"][0]["pointer"], place);
            }
        }
    }
}

#[tokio::test]
async fn text_that_a_queue_cannot_carry_is_refused_with_its_place() {
    let service = service().await;
    let mut event = counted("A-1", 3);
    event["metadata"] = json!({ "shelf": "seven\u{ffff}" });
    let answer = service.post(PATH, "a", &event).await;
    assert_eq!(answer.status, 422, "{:?}", answer.body);
    assert_eq!(answer.body["violations"][0]["pointer"], "/metadata/shelf");
    assert_eq!(service.history("erp_stock#A-1").await, []);
}
