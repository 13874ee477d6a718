//! The endpoints as callers see them, in process, over the store in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use commerce_catalog_api::{handler::App, router};
use outbox::Table;
use serde_json::{Value, json};
use testkit::service::{Answer, Service};

const STOCK: &str = "/api/v1/stock/PRD-001-A";

async fn service() -> Service {
    Service::start(|outbox, keys| {
        let app = App::new(outbox.clone(), Table::domain("commerce"));
        router::routes().router(Arc::new(app), keys)
    })
    .await
}

async fn counted(service: &Service, key: &str, quantity: u32) -> Answer {
    let body = json!({ "product_id": "PRD-00123", "quantity": quantity });
    service.put(STOCK, key, &body).await
}

#[tokio::test]
async fn stock_is_counted_received_and_corrected_and_each_step_is_an_event() {
    let service = service().await;
    assert_eq!(
        counted(&service, "1", 50).await.body["stock_status"],
        "in_stock"
    );
    let low = json!({ "threshold_low_stock": 60 });
    let low = service.put(&format!("{STOCK}/threshold"), "2", &low).await;
    assert_eq!(low.body["stock_status"], "low_stock");
    let received = json!({ "quantity": 20 });
    let received = service
        .post(&format!("{STOCK}/receipts"), "3", &received)
        .await;
    assert_eq!(
        (&received.body["available"], &received.body["stock_status"]),
        (&json!(70), &json!("in_stock"))
    );
    let broken = json!({ "delta": -70, "reason": "flooded" });
    let broken = service
        .post(&format!("{STOCK}/adjustments"), "4", &broken)
        .await;
    assert_eq!(broken.status, 200, "{broken:?}");
    assert_eq!(
        service.get(STOCK).await.body,
        json!({
            "sku": "PRD-001-A", "product_id": "PRD-00123", "on_hand": 0, "reserved": 0, "available": 0,
            "threshold_low_stock": 60, "stock_status": "out_of_stock", "updated_at": broken.body["updated_at"],
            "updated_by": broken.body["updated_by"], "version": 4,
        })
    );
    let events = service.history("stock#PRD-001-A").await;
    let changes: Vec<Value> = events
        .iter()
        .map(|event| {
            serde_json::from_str::<Value>(event.payload.json()).unwrap()["change_type"].take()
        })
        .collect();
    assert_eq!(
        changes,
        ["adjusted", "threshold_changed", "received", "adjusted"]
    );
    let listed = service
        .get(&format!("{STOCK}/history?order=newest&limit=1"))
        .await;
    assert_eq!(listed.body["items"][0]["payload"]["reason"], "flooded");
    assert_eq!(listed.body["next_cursor"], "3");
}

#[tokio::test]
async fn what_the_rules_forbid_is_a_problem_and_writes_nothing() {
    let service = service().await;
    for path in [STOCK.to_owned(), format!("{STOCK}/history")] {
        assert_eq!(
            service.get(&path).await.refusal(),
            (404, "not-found"),
            "{path}"
        );
    }
    let adjust = format!("{STOCK}/adjustments");
    let one = json!({ "delta": 1, "reason": "found" });
    assert_eq!(
        service.post(&adjust, "1", &one).await.refusal(),
        (404, "not-found")
    );
    counted(&service, "2", 3).await;
    let four = json!({ "delta": -4, "reason": "lost" });
    let below = service.post(&adjust, "3", &four).await;
    assert_eq!(below.refusal(), (409, "below-reserved"));
    assert_eq!(
        (&below.body["on_hand"], &below.body["reserved"]),
        (&json!(3), &json!(0))
    );
    let much = json!({ "quantity": 1_000_000_000 });
    let much = service.post(&format!("{STOCK}/receipts"), "4", &much).await;
    assert_eq!(much.refusal(), (422, "too-much"));
    let other = json!({ "product_id": "PRD-9", "quantity": 3 });
    let other = service.put(STOCK, "5", &other).await;
    assert_eq!(other.refusal(), (409, "other-product"));
    let invalid = json!({ "delta": 0.5 });
    let invalid = service.post(&adjust, "6", &invalid).await;
    assert_eq!(invalid.pointers(), ["/delta", "/reason"]);
    // Counting what is there already is no event.
    counted(&service, "7", 3).await;
    assert_eq!(service.history("stock#PRD-001-A").await.len(), 1);
}
