//! The endpoints as callers see them, in process, over the store in memory, beside the endpoints that set prices, stock and
//! credit.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{sync::Arc, time::Duration};

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
        ("products/PRD-001", product()),
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

fn product() -> Value {
    json!({
        "name": "Chair", "status": "active", "visibility": "public", "variants": [{ "sku": "PRD-001", "name": "blue" }],
    })
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

/// Returns the items of a list, read in pages of this size.
async fn pages(service: &Service, path: &str, limit: usize) -> Vec<Value> {
    let sign = if path.contains('?') { '&' } else { '?' };
    let first = format!("{path}{sign}limit={limit}");
    let (mut items, mut next) = (Vec::new(), first.clone());
    loop {
        let page = service.get(&next).await;
        assert_eq!(page.status, 200, "{next}: {page:?}");
        let of_page = page.body["items"].as_array().unwrap();
        assert!(of_page.len() <= limit, "{next}");
        items.extend(of_page.iter().cloned());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            return items;
        };
        next = format!("{first}&cursor={cursor}");
    }
}

#[tokio::test]
async fn a_customer_is_registered_changed_and_read() {
    let service = service().await;
    let none = service.get(CUSTOMER).await;
    assert_eq!(none.refusal(), (404, "not-found"));
    service.put(CUSTOMER, "1", &customer()).await;
    let mut changed = customer();
    changed["tier"] = json!("gold");
    changed["notification_preferences"] = json!({ "email_enabled": false });
    let no_tier = service.put(CUSTOMER, "1-a", &changed).await;
    assert_eq!(no_tier.refusal(), (409, "no-tier"));
    let percent = json!({ "discount_percent": 10 });
    service.put("/api/v1/tiers/gold", "1-b", &percent).await;
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
    let wrong = json!({
        "customer_type": "b2x", "country": "Romania", "notification_preferences": { "email_enabled": "no" },
    });
    let wrong = service.put(CUSTOMER, "4", &wrong).await;
    assert_eq!(
        wrong.pointers(),
        [
            "/country",
            "/customer_type",
            "/email",
            "/name",
            "/notification_preferences/email_enabled",
            "/payment_term"
        ]
    );
}

#[tokio::test]
async fn customers_are_listed_by_id_page_by_page() {
    let service = service().await;
    let customers = "/api/v1/customers";
    let none = service.get(customers).await;
    assert_eq!(none.body, json!({ "items": [], "next_cursor": null }));
    for id in ["CUST-3", "state", "CUST-1", "CUST-2"] {
        let path = format!("{customers}/{id}");
        let registered = service.put(&path, "1", &customer()).await;
        assert_eq!(registered.status, 200, "{registered:?}");
    }
    // A customer that changes is listed as it is now, and once.
    let mut changed = customer();
    changed["name"] = json!("Acme SA");
    let changed = service.put(CUSTOMER, "2", &changed).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut wanted = Vec::new();
    for id in ["CUST-1", "CUST-2", "CUST-3", "state"] {
        wanted.push(service.get(&format!("{customers}/{id}")).await.body);
    }
    assert_eq!(wanted[0]["name"], "Acme SA");
    for limit in [1, 3, 4, 100] {
        let listed = pages(&service, customers, limit).await;
        assert_eq!(listed, wanted, "{limit}");
    }
}

#[tokio::test]
async fn the_orders_of_a_customer_are_listed_newest_first_page_by_page() {
    let service = service().await;
    with_credit(&service).await;
    let orders = "/api/v1/orders?customer_id=CUST-1";
    let mut wanted = Vec::new();
    for number in 0..4 {
        service.clock().advance(Duration::from_secs(1));
        let placed = place(&service, &number.to_string(), &order(1, None)).await;
        assert_eq!(placed.status, 201, "{placed:?}");
        wanted.insert(0, placed.body);
    }
    // So is an order that was a cart.
    service.clock().advance(Duration::from_secs(1));
    let made = json!({ "customer_id": "CUST-1", "currency": "EUR" });
    let made = service.post("/api/v1/carts", "1", &made).await;
    let cart = format!("/api/v1/carts/{}", made.id("cart_id"));
    let line = json!({ "sku": "PRD-001", "quantity": 1 });
    service.post(&format!("{cart}/items"), "1", &line).await;
    let checkout = format!("{cart}/checkout");
    let placed = service.post(&checkout, "1", &json!({})).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    wanted.insert(0, placed.body);
    // An order that changes is listed as it is now, at its place.
    let id = wanted[3]["order_id"].as_str().unwrap();
    let cancel = format!("/api/v1/orders/{id}/cancel");
    let cancelled = service.post(&cancel, "1", &json!({})).await;
    assert_eq!(cancelled.status, 200, "{cancelled:?}");
    wanted[3] = cancelled.body;
    for limit in [1, 2, 5, 100] {
        let listed = pages(&service, orders, limit).await;
        assert_eq!(listed, wanted, "{limit}");
    }

    let cancelled = format!("{orders}&status=cancelled");
    for limit in [1, 2, 5, 100] {
        let listed = pages(&service, &cancelled, limit).await;
        assert_eq!(listed, wanted[3..4], "{limit}");
    }
    // The two newest orders are pending: this page has none, and is not the last.
    let page = service.get(&format!("{cancelled}&limit=2")).await.body;
    assert_eq!(page["items"], json!([]));
    let cursor = page["next_cursor"].as_str().unwrap();
    let rejected = format!("{orders}&status=rejected");
    assert!(pages(&service, &rejected, 2).await.is_empty());

    let nobody = service.get("/api/v1/orders?customer_id=CUST-9").await;
    assert_eq!(nobody.body, json!({ "items": [], "next_cursor": null }));
    let of_other = format!("?customer_id=CUST-9&cursor={cursor}");
    for (query, pointer) in [
        ("", "/query/customer_id"),
        ("?customer_id=CUST-1&status=lost", "/query/status"),
        (of_other.as_str(), "/query/cursor"),
    ] {
        let refused = service.get(&format!("/api/v1/orders{query}")).await;
        assert_eq!(
            (refused.refusal(), refused.pointers()),
            ((400, "invalid-parameter"), vec![pointer]),
            "{query}"
        );
    }
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
    assert_eq!(
        (&line["name"], &line["available"]),
        (&json!("Chair, blue"), &json!(true))
    );
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
    let mut reduced = product();
    reduced["tax_category"] = json!("reduced");
    service
        .put("/api/v1/products/PRD-001", "6-a", &reduced)
        .await;
    let untaxed = place(&service, "6-b", &order(1, None)).await;
    assert_eq!(untaxed.refusal(), (422, "no-tax-rate"));
    for (number, (field, value)) in [("status", "draft"), ("visibility", "hidden")]
        .into_iter()
        .enumerate()
    {
        let mut unsold = product();
        unsold[field] = json!(value);
        let key = format!("6-c-{number}");
        service.put("/api/v1/products/PRD-001", &key, &unsold).await;
        let refused = place(&service, &key, &order(1, None)).await;
        assert_eq!(refused.refusal(), (409, "not-for-sale"), "{field}");
        let lines = json!([{ "pointer": "/lines/0/sku", "sku": "PRD-001" }]);
        assert_eq!(refused.body["lines"], lines);
    }
    service
        .put("/api/v1/products/PRD-001", "6-d", &product())
        .await;
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

#[tokio::test]
async fn a_cart_keeps_goods_that_are_no_longer_sold_but_takes_no_more_of_them() {
    let service = service().await;
    with_credit(&service).await;
    let made = json!({ "customer_id": "CUST-1", "currency": "EUR" });
    let made = service.post("/api/v1/carts", "1", &made).await;
    let path = format!("/api/v1/carts/{}", made.body["cart_id"].as_str().unwrap());
    let some = json!({ "sku": "PRD-001", "quantity": 1 });
    let items = format!("{path}/items");
    service.post(&items, "2", &some).await;
    let gone = service.delete("/api/v1/products/PRD-001", "3").await;
    assert_eq!(gone.status, 200, "{gone:?}");
    let more = service.post(&items, "4", &some).await;
    assert_eq!(more.refusal(), (409, "not-for-sale"));
    let checkout = service
        .post(&format!("{path}/checkout"), "5", &json!({}))
        .await;
    assert_eq!(checkout.refusal(), (409, "not-for-sale"));
    let item = service.get(&path).await.body["items"][0].clone();
    let item = format!("{items}/{}", item["item_id"].as_str().unwrap());
    let removed = service.delete(&item, "6").await;
    assert_eq!(removed.body["lines"], 0, "{removed:?}");
}

/// A cart of ten pieces, and where quotes are.
async fn cart_of_ten(service: &Service) -> (String, &'static str) {
    with_credit(service).await;
    let made = json!({ "customer_id": "CUST-1", "currency": "EUR" });
    let made = service.post("/api/v1/carts", "cart", &made).await;
    let id = made.body["cart_id"].as_str().unwrap().to_owned();
    let ten = json!({ "sku": "PRD-001", "quantity": 10 });
    let items = format!("/api/v1/carts/{id}/items");
    let filled = service.post(&items, "items", &ten).await;
    assert_eq!(filled.status, 200, "{filled:?}");
    (id, "/api/v1/quotes")
}

#[tokio::test]
async fn a_quote_is_made_read_listed_accepted_once_and_the_order_names_it() {
    let service = service().await;
    let (cart_id, quotes) = cart_of_ten(&service).await;
    let ask = json!({ "cart_id": cart_id, "valid_days": 7 });
    let made = service.post(quotes, "1", &ask).await;
    assert_eq!(made.status, 201, "{made:?}");
    assert_eq!(
        (&made.body["status"], &made.body["totals"]["total"]),
        (&json!("open"), &json!(1785))
    );
    assert_eq!(made.body["quote_number"], "QUO-00000001");
    let again = service.post(quotes, "1", &ask).await;
    assert_eq!(again.body, made.body, "a repeat makes no second quote");
    let second = service
        .post(quotes, "2", &json!({ "cart_id": cart_id }))
        .await;
    let id = second.body["quote_id"].as_str().unwrap();
    let path = format!("{quotes}/{id}");
    let old = format!("{quotes}/{}", made.body["quote_id"].as_str().unwrap());
    let superseded = service.get(&old).await.body;
    assert_eq!(
        (&superseded["status"], &superseded["superseded_by"]),
        (&json!("superseded"), &json!(id))
    );
    let closed = service
        .post(&format!("{old}/accept"), "3", &json!({}))
        .await;
    assert_eq!(closed.refusal(), (409, "quote-closed"));
    assert_eq!(
        (&closed.body["quote_status"], &closed.body["superseded_by"]),
        (&json!("superseded"), &json!(id))
    );
    // The price rises, and the quote keeps its own.
    let price = json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": "151" });
    service.put("/api/v1/prices/PRD-001", "4", &price).await;
    let accept = format!("{path}/accept");
    let other = json!({ "expected_total": "1796.90" });
    let other = service.post(&accept, "5", &other).await;
    assert_eq!(other.refusal(), (409, "total-changed"));
    let seen = json!({ "expected_total": 1785 });
    let placed = service.post(&accept, "6", &seen).await;
    assert_eq!(placed.status, 201, "{placed:?}");
    assert_eq!(
        (&placed.body["totals"]["total"], &placed.body["quote_id"]),
        (&json!(1785), &json!(id))
    );
    let twice = service.post(&accept, "7", &seen).await;
    assert_eq!(twice.refusal(), (409, "quote-closed"));
    assert_eq!(twice.body["order_id"], placed.body["order_id"]);
    let quote = service.get(&path).await.body;
    assert_eq!(
        (
            &quote["status"],
            &quote["order_id"],
            &quote["items"][0]["unit_price"]
        ),
        (&json!("accepted"), &placed.body["order_id"], &json!(150))
    );
    let cart = service.get(&format!("/api/v1/carts/{cart_id}")).await.body;
    assert_eq!(cart["order_id"], placed.body["order_id"]);
    let order = placed.body["order_id"].as_str().unwrap();
    let created = &service.history(&format!("order#{order}")).await[0];
    let payload: Value = serde_json::from_str(created.payload.json()).unwrap();
    assert_eq!(payload["quote_id"], id);

    let listed = pages(&service, &format!("{quotes}?customer_id=CUST-1"), 1).await;
    assert_eq!(listed.len(), 2, "{listed:?}");
    let none = service.get(&format!("{quotes}?customer_id=CUST-9")).await;
    assert_eq!(none.body["items"], json!([]));
    let history = service.get(&format!("{path}/history")).await.body;
    let types: Vec<_> = history["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["event_type"])
        .collect();
    assert_eq!(types, ["quote.created", "quote.accepted"]);
}

#[tokio::test]
async fn a_quote_that_cannot_be_made_or_moved_is_refused_by_name() {
    let service = service().await;
    let (cart_id, quotes) = cart_of_ten(&service).await;
    for (key, days) in [("1", 0), ("2", 91)] {
        let ask = json!({ "cart_id": cart_id, "valid_days": days });
        let refused = service.post(quotes, key, &ask).await;
        assert_eq!(refused.refusal(), (422, "invalid-request"), "{days}");
    }
    let unknown = "a1b2c3d4-e5f6-7890-abcd-ef1234567890";
    let none = service
        .post(quotes, "3", &json!({ "cart_id": unknown }))
        .await;
    assert_eq!(none.refusal(), (404, "not-found"));
    for (key, step) in [("4", "accept"), ("5", "reject"), ("6", "reprice")] {
        let path = format!("{quotes}/{unknown}/{step}");
        let none = service.post(&path, key, &json!({})).await;
        assert_eq!(none.refusal(), (404, "not-found"), "{step}");
    }
    for path in ["", "/history"] {
        let none = service.get(&format!("{quotes}/{unknown}{path}")).await;
        assert_eq!(none.refusal(), (404, "not-found"), "{path}");
    }
    let made = json!({ "customer_id": "CUST-1", "currency": "EUR" });
    let made = service.post("/api/v1/carts", "7", &made).await;
    let ask = json!({ "cart_id": made.body["cart_id"] });
    let empty = service.post(quotes, "8", &ask).await;
    assert_eq!(empty.refusal(), (409, "cart-empty"));

    let made = service
        .post(quotes, "9", &json!({ "cart_id": cart_id, "valid_days": 1 }))
        .await;
    let path = format!("{quotes}/{}", made.body["quote_id"].as_str().unwrap());
    service.clock().advance(Duration::from_secs(86_400));
    for (key, step) in [("10", "accept"), ("11", "reject")] {
        let late = service
            .post(&format!("{path}/{step}"), key, &json!({}))
            .await;
        assert_eq!(late.refusal(), (409, "quote-expired"), "{step}");
        assert_eq!(late.body["valid_until"], made.body["valid_until"]);
    }
    let repriced = service
        .post(&format!("{path}/reprice"), "12", &json!({}))
        .await;
    assert_eq!(repriced.status, 201, "{repriced:?}");
    let again = service
        .post(&format!("{path}/reprice"), "13", &json!({}))
        .await;
    assert_eq!(again.refusal(), (409, "quote-closed"));
    let path = format!("{quotes}/{}", repriced.body["quote_id"].as_str().unwrap());
    let why = json!({ "reason": "too expensive" });
    let rejected = service.post(&format!("{path}/reject"), "14", &why).await;
    assert_eq!(
        (&rejected.body["status"], &rejected.body["reason"]),
        (&json!("rejected"), &json!("too expensive")),
        "{rejected:?}"
    );
    let gone = service.delete("/api/v1/products/PRD-001", "15").await;
    assert_eq!(gone.status, 200, "{gone:?}");
    let unsold = service
        .post(quotes, "16", &json!({ "cart_id": cart_id }))
        .await;
    assert_eq!(unsold.refusal(), (409, "not-for-sale"));
}
