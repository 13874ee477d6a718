//! Republications as callers preview and begin them.

use std::sync::Arc;

use operator_api::stack::{GivenFacts, TableSize};
use outbox::Clock as _;
use serde_json::{Value, json};

use crate::http::{service_of, service_with};

const REPUBLISH: &str = "/api/v1/letters/operations/republish";
const OPERATIONS: &str = "/api/v1/letters/operations";

#[tokio::test]
async fn a_republication_is_previewed_begun_once_and_is_an_operation() {
    let facts = GivenFacts {
        log_size: TableSize {
            rows: 1_000_000,
            bytes: 1_024 * 1_024,
        },
        ..GivenFacts::default()
    };
    let service = service_of(Arc::default(), facts).await;
    let request = json!({ "reason": "The stream was off.", "limit": 7, "rate_per_second": 20 });
    let mut preview = request.clone();
    preview["preview"] = true.into();
    let previewed = service.post(REPUBLISH, "p", &preview).await;
    assert_eq!(previewed.status, 200, "{previewed:?}");
    let day_ago = service.clock().now().minus(letters::republish::OLDER_THAN);
    assert_eq!(
        previewed.body,
        json!({
            "republish": { "to": day_ago, "include_failed": false, "limit": 7 }, "seconds_at_least": null,
            "log_rows": 1_000_000, "log_bytes": 1_048_576, "read_units": 256,
        })
    );
    let mut whole = preview.clone();
    whole["limit"] = Value::Null;
    let previewed = service.post(REPUBLISH, "w", &whole).await;
    assert_eq!(previewed.body["seconds_at_least"], 5_000);
    let nothing = service.get(OPERATIONS).await;
    assert_eq!(nothing.body["items"], json!([]), "a preview writes nothing");

    let begun = service.post(REPUBLISH, "k", &request).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert_eq!(begun.body["status"], "running");
    let again = service.post(REPUBLISH, "k", &request).await;
    assert!(again.is_replayed() && again.body == begun.body);
    let id = begun.id("operation_id");
    let shown = service.get(&format!("{OPERATIONS}/{id}")).await;
    assert_eq!(shown.body["act"], "republish");
    assert_eq!(shown.body["republish"], begun.body["republish"]);
    let history = service.history(&format!("operation#{id}")).await;
    let payload: Value = serde_json::from_str(history[0].payload.json()).unwrap();
    assert_eq!(payload["republish"], begun.body["republish"]);
    assert_eq!(payload["reason"], "The stream was off.");

    // One at a time: the second names the first, and so does its preview.
    for (key, body) in [("second", &request), ("third", &preview)] {
        let refused = service.post(REPUBLISH, key, body).await;
        assert_eq!(refused.refusal(), (409, "republishing"));
        assert_eq!(refused.body["operation_id"], begun.body["operation_id"]);
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_request_is_named() {
    let service = service_with(Arc::default()).await;
    for (wrong, pointer) in [
        (json!({}), "/reason"),
        (json!({ "reason": "why", "limit": 0 }), "/limit"),
        (
            json!({ "reason": "why", "rate_per_second": 101 }),
            "/rate_per_second",
        ),
        (
            json!({ "reason": "why", "older_than_seconds": -1 }),
            "/older_than_seconds",
        ),
    ] {
        let refused = service.post(REPUBLISH, "k", &wrong).await;
        assert_eq!(
            (refused.status.as_u16(), refused.pointers()),
            (422, vec![pointer]),
            "{wrong}"
        );
    }
    // It is no act over letters.
    let operation = json!({ "act": "republish", "filter": {}, "reason": "why" });
    let refused = service.post(OPERATIONS, "k", &operation).await;
    assert_eq!(
        (refused.status.as_u16(), refused.pointers()),
        (422, vec!["/act"])
    );
}
