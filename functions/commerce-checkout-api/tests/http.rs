//! The endpoints as callers see them, in process, over the store in memory, beside the endpoints that set prices, stock and
//! credit.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use commerce::testing::table;
use commerce_checkout_api::{handler::App, router};
use serde_json::{Value, json};
use testkit::service::{Answer, Service};

const CUSTOMER: &str = "/api/v1/customers/CUST-1";

/// The whole shop, with a business that buys in Romania and 20 pieces of what the seed's sample orders.
async fn service() -> Service {
    let service = Service::start(|outbox, keys| {
        let app = App::new(outbox.clone(), table());
        let prices = commerce_pricing_api::handler::App::new(outbox.clone(), table());
        let stock = commerce_catalog_api::handler::App::new(outbox.clone(), table());
        let credit = commerce_credit_api::handler::App::new(outbox.clone(), table());
        router::routes()
            .router(Arc::new(app), keys)
            .merge(
                commerce_pricing_api::router::routes()
                    .router(Arc::new(prices), keys)
                    .reset_fallback(),
            )
            .merge(
                commerce_catalog_api::router::routes()
                    .router(Arc::new(stock), keys)
                    .reset_fallback(),
            )
            .merge(
                commerce_credit_api::router::routes()
                    .router(Arc::new(credit), keys)
                    .reset_fallback(),
            )
    })
    .await;
    let price = json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": "150" });
    for (path, body) in [
        ("prices/PRD-001", price),
        (
            "tax-rates/RO/standard",
            json!({ "rate": 19, "valid_from": "2020-01-01" }),
        ),
        (
            "stock/PRD-001",
            json!({ "product_id": "PRD-001", "quantity": 20 }),
        ),
    ] {
        let answer = service.put(&format!("/api/v1/{path}"), path, &body).await;
        assert_eq!(answer.status, 200, "{path}: {answer:?}");
    }
    service
}

fn customer() -> Value {
    json!({
        "customer_type": "b2b", "name": "Acme SRL", "email": "orders@acme.example", "payment_term": "net_30",
        "country": "RO",
    })
}

async fn with_credit(service: &Service) {
    service.put(CUSTOMER, "customer", &customer()).await;
    let limit = json!({ "currency": "EUR", "credit_limit": 5000 });
    let path = "/api/v1/credit-accounts/CUST-1/limit";
    let answer = service.put(path, "limit", &limit).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

fn order(quantity: u32, expected_total: Option<&str>) -> Value {
    json!({
        "customer_id": "CUST-1", "currency": "EUR", "expected_total": expected_total,
        "lines": [{ "sku": "PRD-001", "quantity": quantity }],
    })
}

async fn place(service: &Service, key: &str, body: &Value) -> Answer {
    service.post("/api/v1/orders", key, body).await
}

#[tokio::test]
async fn a_customer_is_registered_changed_and_read() {
    let service = service().await;
    let none = service.get(CUSTOMER).await;
    assert_eq!(none.refusal(), (404, "not-found"));
    service.put(CUSTOMER, "1", &customer()).await;
    let mut changed = customer();
    changed["tier"] = json!("gold");
    let gold = service.put(CUSTOMER, "2", &changed).await;
    assert_eq!(gold.status, 200, "{gold:?}");
    // What is known already is no event.
    service.put(CUSTOMER, "3", &changed).await;
    let mut wanted = changed;
    let answer = service.get(CUSTOMER).await.body;
    for (name, value) in [
        ("customer_id", json!("CUST-1")),
        ("vat_treatment", json!("domestic")),
        ("registered_at", answer["registered_at"].clone()),
        ("updated_at", gold.body["updated_at"].clone()),
        ("updated_by", gold.body["updated_by"].clone()),
        ("version", json!(2)),
    ] {
        wanted[name] = value;
    }
    assert_eq!(answer, wanted);
    let listed = service.get(&format!("{CUSTOMER}/history")).await;
    let types: Vec<&Value> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event_type"])
        .collect();
    assert_eq!(types, ["customer.registered", "customer.updated"]);
    let wrong = json!({ "customer_type": "b2x", "country": "Romania" });
    let wrong = service.put(CUSTOMER, "4", &wrong).await;
    assert_eq!(
        wrong.pointers(),
        [
            "/country",
            "/customer_type",
            "/email",
            "/name",
            "/payment_term"
        ]
    );
}

#[tokio::test]
async fn the_seeds_order_comes_to_what_the_seed_says_and_can_be_cancelled() {
    let service = service().await;
    with_credit(&service).await;
    let placed = place(&service, "1", &order(10, Some("1785"))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let id = placed.body["order_id"].as_str().unwrap().to_owned();
    let again = place(&service, "1", &order(10, Some("1785"))).await;
    assert_eq!(again.body, placed.body);
    assert_eq!(placed.body["order_number"], "ORD-00000001");
    let path = format!("/api/v1/orders/{id}");
    let read = service.get(&path).await.body;
    assert_eq!(
        (
            &read["status"],
            &read["payment_status"],
            &read["fulfillment_status"]
        ),
        (&json!("pending"), &json!("pending"), &json!("unfulfilled"))
    );
    assert_eq!(
        read["totals"],
        json!({
            "subtotal": 1500, "tax_amount": 285, "total": 1785, "currency": "EUR",
            "tax_lines": [{
                "tax_category": "standard", "tax_rate": 19, "taxable_amount": 1500, "tax_amount": 285,
            }],
        })
    );
    let item = &read["items"][0];
    assert_eq!(
        (
            &item["unit_price"],
            &item["line_total"],
            &item["tax_amount"]
        ),
        (&json!(150), &json!(1500), &json!(285))
    );
    let early = service.post(&format!("{path}/ship"), "2", &json!({})).await;
    assert_eq!(early.refusal(), (409, "illegal-transition"));
    assert_eq!(early.body["from"], "pending");
    let why = json!({ "reason": "ordered twice" });
    let cancelled = service.post(&format!("{path}/cancel"), "3", &why).await;
    assert_eq!(cancelled.body["status"], "cancelled", "{cancelled:?}");
    let twice = service.post(&format!("{path}/cancel"), "4", &why).await;
    assert_eq!(twice.refusal(), (409, "illegal-transition"));
    let timeline = service.get(&format!("{path}/timeline")).await.body;
    let steps: Vec<(&Value, &Value)> = timeline["steps"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (&step["event_type"], &step["reason"]))
        .collect();
    assert_eq!(
        steps,
        [
            (&json!("order.created"), &Value::Null),
            (&json!("order.cancelled"), &json!("ordered twice"))
        ]
    );
    let other = place(&service, "5", &order(1, None)).await;
    // The repeat left out a number.
    assert_eq!(other.body["order_number"], "ORD-00000003");
}

#[tokio::test]
async fn a_cart_is_filled_changed_and_becomes_an_order_once() {
    let service = service().await;
    with_credit(&service).await;
    let made = json!({ "customer_id": "CUST-1", "currency": "EUR" });
    let made = service.post("/api/v1/carts", "1", &made).await;
    assert_eq!(made.status, 201, "{made:?}");
    let path = format!("/api/v1/carts/{}", made.body["cart_id"].as_str().unwrap());
    let nothing = json!({});
    let empty = service
        .post(&format!("{path}/checkout"), "2", &nothing)
        .await;
    assert_eq!(empty.refusal(), (409, "cart-empty"));
    let items = format!("{path}/items");
    let some = |quantity: u32| json!({ "sku": "PRD-001", "quantity": quantity });
    service.post(&items, "3", &some(1)).await;
    let added = service.post(&items, "4", &some(2)).await;
    assert_eq!(
        (&added.body["lines"], &added.body["totals"]["total"]),
        (&json!(1), &json!(535.5)),
        "{added:?}"
    );
    let line = service.get(&path).await.body["items"][0].clone();
    let item = format!("{items}/{}", line["item_id"].as_str().unwrap());
    let ten = service.patch(&item, "5", &json!({ "quantity": 10 })).await;
    assert_eq!(ten.body["totals"]["total"], 1785, "{ten:?}");
    let removed = service.delete(&item, "6").await;
    assert_eq!(removed.body["totals"], Value::Null, "{removed:?}");
    let gone = service.patch(&item, "7", &json!({ "quantity": 10 })).await;
    assert_eq!(gone.refusal(), (404, "not-found"));
    let unknown = json!({ "sku": "PRD-9", "quantity": 1 });
    let unknown = service.post(&items, "8", &unknown).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    service.post(&items, "9", &some(5)).await;
    let many = service.post(&items, "10", &some(1_000_000)).await;
    assert_eq!(many.refusal(), (422, "quantity-too-large"));
    let cleared = service.post(&format!("{path}/clear"), "11", &nothing).await;
    assert_eq!(cleared.body["lines"], 0);
    service.post(&items, "12", &some(10)).await;
    // The price rises after the customer saw the total.
    let price = json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": "160" });
    service.put("/api/v1/prices/PRD-001", "13", &price).await;
    let checkout = format!("{path}/checkout");
    let seen = json!({ "expected_total": 1785 });
    let changed = service.post(&checkout, "14", &seen).await;
    assert_eq!(changed.refusal(), (409, "total-changed"));
    let seen = json!({ "expected_total": "1904.00" });
    let placed = service.post(&checkout, "15", &seen).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    let twice = service.post(&checkout, "16", &seen).await;
    assert_eq!(twice.refusal(), (409, "cart-ordered"));
    assert_eq!(twice.body["order_id"], placed.body["order_id"]);
    let closed = service.get(&path).await.body;
    assert_eq!(
        (&closed["status"], &closed["lines"], &closed["order_id"]),
        (&json!("ordered"), &json!(0), &placed.body["order_id"])
    );
    let id = placed.body["order_id"].as_str().unwrap();
    let created = &service.history(&format!("order#{id}")).await[0];
    let id = made.body["cart_id"].as_str().unwrap();
    let events = service.history(&format!("cart#{id}")).await;
    let last = events.last().unwrap();
    assert_eq!(last.causation_id, Some(created.event_id));
    assert_eq!(last.correlation_id, created.correlation_id);
    let actions: Vec<Value> = events[1..]
        .iter()
        .map(|event| serde_json::from_str::<Value>(event.payload.json()).unwrap()["action"].take())
        .collect();
    assert_eq!(
        actions,
        [
            "item_added",
            "quantity_updated",
            "quantity_updated",
            "item_removed",
            "item_added",
            "cart_cleared",
            "item_added",
            "cart_cleared"
        ]
    );
}

#[tokio::test]
async fn what_cannot_succeed_is_refused_at_once_and_writes_nothing() {
    let service = service().await;
    let unknown = place(&service, "1", &order(1, None)).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    assert_eq!(unknown.body["customer_id"], "CUST-1");
    service.put(CUSTOMER, "2", &customer()).await;
    let none = place(&service, "3", &order(1, None)).await;
    assert_eq!(none.refusal(), (409, "no-credit-account"));
    with_credit(&service).await;
    let changed = place(&service, "4", &order(10, Some("1784.99"))).await;
    assert_eq!(changed.refusal(), (409, "total-changed"));
    assert_eq!(
        (&changed.body["expected_total"], &changed.body["total"]),
        (&json!(1784.99), &json!(1785))
    );
    let short = place(&service, "5", &order(21, None)).await;
    assert_eq!(short.refusal(), (409, "insufficient-stock"));
    assert_eq!(
        short.body["shortages"],
        json!([{ "pointer": "/lines/0/sku", "sku": "PRD-001", "wanted": 21, "available": 20 }])
    );
    let with = |change: &dyn Fn(&mut Value)| {
        let mut body = order(1, None);
        change(&mut body);
        body
    };
    let line = |sku: &str| json!({ "sku": sku, "quantity": 1 });
    for (number, (body, refusal, pointers)) in [
        (
            with(&|body| body["lines"] = json!([line("PRD-001"), line("PRD-001")])),
            (422, "invalid-request"),
            vec!["/lines/1/sku"],
        ),
        (
            with(&|body| body["lines"] = json!([line("PRD-001"), line("PRD-9")])),
            (404, "not-found"),
            vec!["/lines/1/sku"],
        ),
        (
            with(&|body| body["currency"] = json!("USD")),
            (409, "no-credit-account"),
            vec![],
        ),
        (
            with(&|body| body["lines"] = json!(vec![line("PRD-001"); 46])),
            (422, "invalid-request"),
            vec!["/lines"],
        ),
        (
            with(&|body| body["lines"][0]["tax_category"] = json!("reduced")),
            (422, "no-tax-rate"),
            vec![],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = place(&service, &format!("6-{number}"), &body).await;
        assert_eq!(refused.refusal(), refusal, "{number}: {refused:?}");
        if !pointers.is_empty() {
            assert_eq!(refused.pointers(), pointers, "{number}");
        }
    }
    let mut gold = customer();
    gold["tier"] = json!("gold");
    service.put(CUSTOMER, "7", &gold).await;
    let no_tier = place(&service, "8", &order(1, None)).await;
    assert_eq!(no_tier.refusal(), (409, "no-tier"));
    let id = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
    for path in ["", "/timeline"] {
        let none = service.get(&format!("/api/v1/orders/{id}{path}")).await;
        assert_eq!(none.refusal(), (404, "not-found"), "{path}");
    }
    let none = service
        .post(&format!("/api/v1/orders/{id}/deliver"), "9", &json!({}))
        .await;
    assert_eq!(none.refusal(), (404, "not-found"));
}

#[tokio::test]
async fn an_order_that_leaves_the_eu_is_not_taxed() {
    let service = service().await;
    with_credit(&service).await;
    let mut abroad = customer();
    abroad["vat_treatment"] = json!("export");
    abroad["country"] = json!("CH");
    service.put(CUSTOMER, "1", &abroad).await;
    let placed = place(&service, "2", &order(10, Some("1500"))).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(placed.body["totals"]["tax_lines"][0]["tax_rate"], 0);
}
