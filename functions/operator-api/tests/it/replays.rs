//! Replays as callers preview and begin them.

use std::{sync::Arc, time::Duration};

use events::Timestamp;
use operator_api::stack::{GivenFacts, TableSize};
use outbox::{Clock as _, Table};
use serde_json::{Value, json};
use testkit::service::{Answer, Service};

use crate::http::{service_of, service_with};

const REPLAYS: &str = "/api/v1/replays";
const OPERATIONS: &str = "/api/v1/letters/operations";
const DAY: i64 = 86_400_000;

async fn service() -> Service {
    service_with(Arc::default()).await
}

/// The time some days ago.
fn ago(service: &Service, days: i64) -> Timestamp {
    let now = service.clock().now().unix_millis();
    Timestamp::from_unix_millis(now - days * DAY).unwrap()
}

/// Logs the first events of an account, some days ago.
async fn logged(service: &Service, account: &str, count: u64, days: i64) {
    let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
    let at = ago(service, days);
    for sequence in 1..=count {
        let mut envelope: Value = serde_json::from_str(sample).unwrap();
        envelope["aggregate_id"] = account.into();
        envelope["sequence"] = sequence.into();
        envelope["occurred_at"] = json!(at);
        let row = json!({
            "aggregate": format!("cloud_account#{account}"), "sequence": sequence, "event_id": envelope["event_id"],
            "event_type": envelope["event_type"], "committed_at": at, "published_at": at,
            "envelope": envelope.to_string(),
        });
        let row = row.as_object().unwrap().clone();
        let (events, rows) = (Table::events("events"), [row]);
        let put = service.outbox().store().put_all(&events, &rows);
        put.await.unwrap();
    }
}

fn replay(what: &Value) -> Value {
    let mut body = json!({ "consumer": "analytics", "reason": "Its rows were lost." });
    for (name, value) in what.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

async fn preview(service: &Service, what: &Value) -> Answer {
    let mut body = replay(what);
    body["preview"] = true.into();
    service.post(REPLAYS, "preview", &body).await
}

#[tokio::test]
async fn a_replay_of_an_aggregate_is_counted_begun_once_and_is_an_operation() {
    let service = service().await;
    logged(&service, "m", 3, 1).await;
    let what =
        json!({ "aggregate_type": "cloud_account", "aggregate_id": "m", "rate_per_second": 2 });
    for _ in 0..2 {
        let previewed = preview(&service, &what).await;
        assert_eq!(previewed.status, 200, "{previewed:?}");
        assert_eq!(
            (&previewed.body["count"], &previewed.body["counted_by"]),
            (&json!(3), &json!("event_log"))
        );
        assert_eq!(
            (
                &previewed.body["seconds_at_least"],
                &previewed.body["log_rows"]
            ),
            (&json!(2), &Value::Null)
        );
    }
    let nothing = service.get(OPERATIONS).await;
    assert_eq!(nothing.body["items"], json!([]), "a preview writes nothing");

    let begun = service.post(REPLAYS, "k", &replay(&what)).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert_eq!(
        (&begun.body["count"], &begun.body["status"]),
        (&json!(3), &json!("running"))
    );
    let again = service.post(REPLAYS, "k", &replay(&what)).await;
    assert!(again.is_replayed() && again.body == begun.body);

    let id = begun.id("operation_id");
    let shown = service.get(&format!("{OPERATIONS}/{id}")).await;
    assert_eq!(shown.body["act"], "replay");
    assert_eq!(shown.body["replay"]["consumer"], "analytics");
    assert_eq!(shown.body["replay"]["aggregate_id"], "m");
    assert_eq!(shown.body["replay"]["to"], shown.body["begun_at"]);
    assert_eq!(shown.body["progress"]["left"], 3);
    let why = json!({ "reason": "It burns." });
    for (step, status) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ] {
        let changed = service
            .post(&format!("{OPERATIONS}/{id}/{step}"), step, &why)
            .await;
        assert_eq!(changed.body["status"], status, "{changed:?}");
    }
    let history = service.history(&format!("operation#{id}")).await;
    let payload: Value = serde_json::from_str(history[0].payload.json()).unwrap();
    assert_eq!(
        (&payload["act"], &payload["replay"]),
        (&json!("replay"), &shown.body["replay"])
    );
    assert_eq!(payload["key_owner"], "billing");
}

#[tokio::test]
async fn a_preview_of_the_whole_log_tells_what_reading_costs_and_what_is_not_known() {
    let facts = GivenFacts {
        log_size: TableSize {
            rows: 1_000_000,
            bytes: 1_024 * 1_024,
        },
        ..GivenFacts::default()
    };
    let service = service_of(Arc::default(), facts).await;
    let all = preview(&service, &json!({ "event_types": ["cloud.minted"] })).await;
    assert_eq!(all.status, 200, "{all:?}");
    let known = [
        "count",
        "counted_by",
        "seconds_at_least",
        "log_rows",
        "read_units",
    ];
    let known: Vec<&Value> = known.iter().map(|name| &all.body[*name]).collect();
    assert_eq!(
        known,
        [
            &Value::Null,
            &json!("nothing"),
            &json!(5_000),
            &json!(1_000_000),
            &json!(256)
        ]
    );
    // A span is counted by `analytics`, which has counted nothing here.
    let span = json!({ "from": ago(&service, 3), "to": ago(&service, 2) });
    let span = preview(&service, &span).await;
    assert_eq!(
        (&span.body["count"], &span.body["counted_by"]),
        (&json!(0), &json!("analytics"))
    );
    assert_eq!(span.body["began"], "1970-01-01T00:00:00.000Z");
}

#[tokio::test]
async fn what_no_replay_can_be_is_refused_by_name() {
    let service = service().await;
    for (what, pointers) in [
        (
            json!({ "consumer": "analytic", "to": ago(&service, 1) }),
            vec!["/consumer"],
        ),
        // It is not in the spine.
        (
            json!({ "consumer": "activity-feed", "to": ago(&service, 1) }),
            vec!["/consumer"],
        ),
        (
            json!({ "consumer": "heartbeat-arrival", "event_types": ["loan.funded"] }),
            vec!["/event_types/0"],
        ),
        (json!({ "event_types": [] }), vec!["/event_types"]),
        (json!({}), vec![""]),
        (
            json!({ "before_it_began": true, "to": ago(&service, 1) }),
            vec![""],
        ),
        (json!({ "aggregate_type": "cloud_account" }), vec![""]),
        (
            json!({ "from": ago(&service, 1), "to": ago(&service, 2) }),
            vec!["/from"],
        ),
    ] {
        for is_preview in [false, true] {
            let mut body = replay(&what);
            body["preview"] = is_preview.into();
            let refused = service.post(REPLAYS, "k", &body).await;
            assert_eq!(refused.status, 422, "{what}: {refused:?}");
            assert_eq!(refused.pointers(), pointers, "{what}");
        }
    }
    let misspelt = replay(&json!({ "consumer": "analytic", "from": ago(&service, 1) }));
    let nearest = service.post(REPLAYS, "k", &misspelt).await;
    let words = nearest.body.to_string();
    assert!(words.contains("did you mean analytics?"), "{words}");
    let about =
        json!({ "consumer": "heartbeat-arrival", "aggregate_type": "loan", "aggregate_id": "l" });
    let refused = service.post(REPLAYS, "k", &replay(&about)).await;
    assert_eq!(refused.refusal(), (422, "no-event"));
    // It is no act over letters.
    let operation = json!({ "act": "replay", "filter": {}, "reason": "why" });
    let refused = service.post(OPERATIONS, "k", &operation).await;
    assert_eq!(
        (refused.status.as_u16(), refused.pointers()),
        (422, vec!["/act"])
    );
}

#[tokio::test]
async fn what_is_too_old_for_marks_is_refused_with_what_is_possible() {
    let service = service().await;
    let old = json!({ "to": ago(&service, 57) });
    let refused = service.post(REPLAYS, "k", &replay(&old)).await;
    assert_eq!(refused.refusal(), (422, "too-old"));
    let possible = json!(ago(&service, 57));
    assert_eq!(
        (&refused.body["consumer"], &refused.body["possible_from"]),
        (&json!("analytics"), &possible)
    );
    // A cursor never expires.
    let mut to_feed = replay(&old);
    to_feed["consumer"] = "event-feed".into();
    let begun = service.post(REPLAYS, "f", &to_feed).await;
    assert_eq!(begun.status, 201, "{begun:?}");
}

#[tokio::test]
async fn what_was_before_a_consumer_is_replayed_once_and_the_second_replay_names_the_first() {
    let began = Timestamp::EPOCH.plus(Duration::from_secs(50 * 365 * 86_400));
    let facts = GivenFacts {
        created_at: began,
        ..GivenFacts::default()
    };
    let service = service_of(Arc::default(), facts).await;
    let all = replay(&json!({ "before_it_began": true }));
    let begun = service.post(REPLAYS, "first", &all).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    let first = &begun.body["replay"]["before_it_began"];
    assert_eq!(
        (&begun.body["replay"]["to"], &first["began"]),
        (&json!(began), &json!(began))
    );
    let mut previewed = all.clone();
    previewed["preview"] = true.into();
    for (key, body) in [("second", &all), ("third", &previewed)] {
        let refused = service.post(REPLAYS, key, body).await;
        assert_eq!(refused.refusal(), (409, "replayed-before"));
        assert_eq!(refused.body["operation_id"], begun.body["operation_id"]);
    }
    // The same request is the same replay.
    assert!(service.post(REPLAYS, "first", &all).await.is_replayed());
}

#[tokio::test]
async fn a_replay_needs_its_scope() {
    let mut service = service().await;
    let some = replay(&json!({ "from": ago(&service, 1) }));
    service.use_key(&["letters:read", "letters:write"]).await;
    let refused = service.post(REPLAYS, "k", &some).await;
    assert_eq!(refused.refusal(), (403, "missing-scope"));
    assert_eq!(refused.body["scope"], "replays:write");
    service.use_key(&["replays:write"]).await;
    assert_eq!(service.post(REPLAYS, "k", &some).await.status, 201);
}
