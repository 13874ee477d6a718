//! The endpoints as callers see them, in process, over the store in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use commerce_pricing_api::{handler::App, router};
use http::Method;
use outbox::Table;
use serde_json::{Value, json};
use testkit::service::{Answer, Service};

async fn service() -> Service {
    Service::start(|outbox, keys| {
        let app = App::new(outbox.clone(), Table::domain("commerce"));
        router::routes().router(Arc::new(app), keys)
    })
    .await
}

async fn put(service: &Service, path: &str, key: &str, body: &Value) -> Answer {
    service.put(&format!("/api/v1/{path}"), key, body).await
}

async fn ask(service: &Service, path: &str, body: &Value) -> Answer {
    let path = format!("/api/v1/pricing/{path}");
    service
        .send(service.request(Method::POST, &path), body)
        .await
}

async fn get(service: &Service, path: &str) -> Answer {
    service.get(&format!("/api/v1/{path}")).await
}

/// A service in which two skus have prices, the tier `gold` gets 10 % off, and Romania taxes at 19 %, from August 2025 on at 21 %.
async fn shop() -> Service {
    let service = service().await;
    for (path, body) in [
        (
            "prices/PRD-001",
            json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": 150, "volume_prices": [
                { "min_quantity": 100, "price": "120.5" }, { "min_quantity": 10, "price": 140 },
            ] }),
        ),
        (
            "prices/BOOK-1",
            json!({ "product_id": "BOOK", "currency": "EUR", "base_price": 9.9999 }),
        ),
        ("tiers/gold", json!({ "discount_percent": 10 })),
        (
            "tax-rates/RO/standard",
            json!({ "rate": 19, "valid_from": "2017-01-01" }),
        ),
        (
            "tax-rates/RO/standard",
            json!({ "rate": 21, "valid_from": "2025-08-01" }),
        ),
        (
            "tax-rates/RO/reduced",
            json!({ "rate": 11, "valid_from": "2025-08-01" }),
        ),
    ] {
        let set = put(&service, path, &body.to_string(), &body).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
    service
}

#[tokio::test]
async fn prices_are_set_read_and_listed_and_each_change_is_an_event() {
    let service = shop().await;
    let read = get(&service, "prices/PRD-001").await;
    assert_eq!(
        read.body["prices"],
        json!({ "EUR": { "base_price": 150, "volume_prices": [
            { "min_quantity": 10, "price": 140 }, { "min_quantity": 100, "price": 120.5 },
        ] } })
    );
    let body = json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": 165 });
    let risen = put(&service, "prices/PRD-001", "rise", &body).await;
    assert_eq!(
        (risen.status.as_u16(), &risen.body["version"]),
        (200, &json!(2))
    );
    assert_eq!(get(&service, "prices/PRD-001").await.body, risen.body);

    let history = service.history("price#PRD-001").await;
    let payload: Value = serde_json::from_str(history[1].payload.json()).unwrap();
    assert_eq!(payload["previous_price"], 150);
    assert_eq!(payload["percentage_change"], 10);
    let listed = get(&service, "prices/PRD-001/history?order=newest&limit=1").await;
    assert_eq!(listed.body["items"][0]["payload"], payload);
    assert_eq!(listed.body["next_cursor"], "1");

    // What is so already is no event.
    let same = put(&service, "prices/PRD-001", "rise-again", &body).await;
    assert_eq!(same.body, risen.body);
    assert_eq!(service.history("price#PRD-001").await.len(), 2);
    assert_eq!(
        get(&service, "tiers/gold").await.body["discount_percent"],
        10
    );
    let rates = get(&service, "tax-rates/RO/standard").await;
    assert_eq!(
        rates.body["rates"],
        json!([{ "valid_from": "2017-01-01", "rate": 19 }, { "valid_from": "2025-08-01", "rate": 21 }])
    );
}

#[tokio::test]
async fn a_change_tells_for_which_user_it_was_made() {
    let service = service().await;
    let body = json!({ "discount_percent": 5 });
    let owner = put(&service, "tiers/gold", "1", &body).await;
    let by = owner.body["updated_by"].as_str().unwrap();
    assert!(!by.is_empty() && by != "user-456", "{by}");
    let request = service.request(Method::PUT, "/api/v1/tiers/gold");
    let request = request
        .header("idempotency-key", "2")
        .header("x-user-id", "user-456");
    let user = service
        .send(request, &json!({ "discount_percent": 6 }))
        .await;
    assert_eq!(user.body["updated_by"], "user-456");
}

#[tokio::test]
async fn an_order_comes_to_what_the_seeds_sample_says_and_each_line_says_why() {
    let service = shop().await;
    let mut order = json!({
        "currency": "EUR", "country": "RO", "day": "2025-07-31",
        "lines": [{ "sku": "PRD-001", "quantity": 9 }, { "sku": "PRD-001", "quantity": 1 }],
    });
    let answer = ask(&service, "calculate-order", &order).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(
        answer.body["totals"],
        json!({ "subtotal": 1500, "tax_lines": [
            { "tax_category": "standard", "tax_rate": 19, "taxable_amount": 1500, "tax_amount": 285 },
        ], "tax_amount": 285, "total": 1785, "currency": "EUR" })
    );
    order["day"] = "2025-08-01".into();
    order["tier"] = "gold".into();
    order["lines"] = json!([
        { "sku": "PRD-001", "quantity": 10 },
        { "sku": "BOOK-1", "quantity": 3, "tax_category": "reduced" },
    ]);
    let answer = ask(&service, "calculate-order", &order).await;
    assert_eq!(
        answer.body["lines"],
        json!([
            {
                "product_id": "PRD-001", "sku": "PRD-001", "quantity": 10, "unit_price": 126, "reason": "tier_discount", "base_price": 150,
                "list_price": 140, "min_quantity": 10, "tier": "gold", "discount_percent": 10, "line_total": 1260,
                "tax_category": "standard", "tax_rate": 21, "tax_amount": 264.6,
            },
            // 9.9999 less 10 % is 8.99991, and three of 8.9999 are 26.9997.
            {
                "product_id": "BOOK", "sku": "BOOK-1", "quantity": 3, "unit_price": 8.9999, "reason": "tier_discount", "base_price": 9.9999,
                "list_price": 9.9999, "min_quantity": 1, "tier": "gold", "discount_percent": 10, "line_total": 27,
                "tax_category": "reduced", "tax_rate": 11, "tax_amount": 2.97,
            },
        ])
    );
    assert_eq!(answer.body["totals"]["total"], 1554.57);

    let question = json!({ "currency": "EUR", "sku": "PRD-001", "quantity": 100 });
    let line = ask(&service, "calculate", &question).await;
    assert_eq!(
        line.body,
        json!({
            "sku": "PRD-001", "quantity": 100, "currency": "EUR", "unit_price": 120.5, "reason": "volume_price",
            "base_price": 150, "list_price": 120.5, "min_quantity": 100, "line_total": 12050,
        })
    );
}

#[tokio::test]
async fn what_cannot_be_calculated_is_told_by_name() {
    let service = shop().await;
    let line = |sku: &str| json!({ "currency": "EUR", "sku": sku, "quantity": 1 });
    let unknown = ask(&service, "calculate", &line("PRD-9")).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    assert_eq!(unknown.pointers(), ["/sku"]);
    let mut question = line("PRD-001");
    question["currency"] = "USD".into();
    let priceless = ask(&service, "calculate", &question).await;
    assert_eq!(priceless.refusal(), (422, "no-price"));
    assert_eq!(priceless.pointers(), ["/sku"]);
    assert_eq!(priceless.body["currency"], "USD");
    let mut question = line("PRD-001");
    question["tier"] = "silver".into();
    let tierless = ask(&service, "calculate", &question).await;
    assert_eq!(tierless.refusal(), (404, "not-found"));
    assert_eq!(tierless.pointers(), ["/tier"]);
    question["quantity"] = 0.into();
    question["tier"] = "Gold".into();
    let invalid = ask(&service, "calculate", &question).await;
    assert_eq!(invalid.pointers(), ["/quantity", "/tier"]);
    let dear = json!({ "product_id": "D", "currency": "EUR", "base_price": 99_999_999_999.999_9 });
    put(&service, "prices/D", "dear", &dear).await;
    let question = json!({ "currency": "EUR", "sku": "D", "quantity": 1_000_000 });
    let large = ask(&service, "calculate", &question).await;
    assert_eq!(large.refusal(), (422, "too-large"));

    let order = |country: &str, lines: usize| {
        let lines = vec![json!({ "sku": "PRD-001", "quantity": 1 }); lines];
        json!({ "currency": "EUR", "country": country, "day": "2025-08-01", "lines": lines })
    };
    let untaxed = ask(&service, "calculate-order", &order("DE", 1)).await;
    assert_eq!(untaxed.refusal(), (422, "no-tax-rate"));
    assert_eq!(
        (&untaxed.body["country"], &untaxed.body["day"]),
        (&json!("DE"), &json!("2025-08-01"))
    );
    assert_eq!(
        ask(&service, "calculate-order", &order("RO", 45))
            .await
            .status,
        200
    );
    for lines in [0, 46] {
        let refused = ask(&service, "calculate-order", &order("RO", lines)).await;
        assert_eq!(refused.pointers(), ["/lines"], "{lines}");
    }
    for path in [
        "prices/PRD-9",
        "prices/PRD-9/history",
        "tiers/silver",
        "tax-rates/DE/zero",
    ] {
        assert_eq!(
            get(&service, path).await.refusal(),
            (404, "not-found"),
            "{path}"
        );
    }
}

#[tokio::test]
async fn what_the_rules_forbid_is_a_problem_and_writes_nothing() {
    let service = shop().await;
    let body = json!({ "product_id": "OTHER", "currency": "EUR", "base_price": 1 });
    let other = put(&service, "prices/PRD-001", "1", &body).await;
    assert_eq!(other.refusal(), (409, "other-product"));
    assert_eq!(other.body["product_id"], "PRD-001");
    let row = json!({ "min_quantity": 5, "price": 1 });
    let body = json!({ "product_id": "P", "currency": "EUR", "base_price": 1, "volume_prices": [row, row] });
    let twice = put(&service, "prices/P", "2", &body).await;
    assert_eq!(twice.pointers(), ["/volume_prices"]);
    let body = json!({ "product_id": "P", "currency": "GBP", "base_price": 1.00001, "volume_prices": [
        { "min_quantity": 1, "price": -1 },
    ] });
    let invalid = put(&service, "prices/P", "3", &body).await;
    assert_eq!(
        invalid.pointers(),
        [
            "/base_price",
            "/currency",
            "/volume_prices/0/min_quantity",
            "/volume_prices/0/price"
        ]
    );
    for (path, body) in [
        ("tiers/gold", json!({ "discount_percent": 100.01 })),
        (
            "tax-rates/RO/standard",
            json!({ "rate": 100.01, "valid_from": "2026-01-01" }),
        ),
    ] {
        assert_eq!(put(&service, path, "4", &body).await.status, 422, "{path}");
    }
    let zero = json!({ "rate": 0, "valid_from": "2026-01-01" });
    let zero = put(&service, "tax-rates/RO/zero", "6", &zero).await;
    assert_eq!(zero.refusal(), (422, "never-taxed"));
    for path in ["tiers/Gold", "tax-rates/ro/standard", "tax-rates/RO/super"] {
        let refused = put(&service, path, "5", &json!({})).await;
        assert_eq!(refused.status, 400, "{path}");
    }
    assert_eq!(service.history("price#PRD-001").await.len(), 1);
    assert_eq!(service.history("price_tier#gold").await.len(), 1);
}

/// A request's mark holds the answer, in 4 KB.
#[tokio::test]
async fn the_largest_answers_can_be_kept_for_repeats() {
    let service = service().await;
    let sku = "S".repeat(64);
    for currency in ["EUR", "RON", "USD"] {
        let rows: Vec<Value> = (0..20)
            .map(|row| json!({ "min_quantity": 999_900 + row, "price": 99_999_999_999.999_9 }))
            .collect();
        let body = json!({
            "product_id": "P".repeat(64), "currency": currency, "base_price": 99_999_999_999.999_9, "volume_prices": rows,
        });
        let set = put(&service, &format!("prices/{sku}"), currency, &body).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
    let mut last = json!(null);
    for year in 2000..2050 {
        let body = json!({ "rate": 12.25, "valid_from": format!("{year}-08-01") });
        let set = put(&service, "tax-rates/RO/reduced", &year.to_string(), &body).await;
        assert_eq!(set.status, 200, "{set:?}");
        last = set.body;
    }
    assert_eq!(last["rates"].as_array().map(Vec::len), Some(50));
    let body = json!({ "rate": 1, "valid_from": "1999-08-01" });
    let more = put(&service, "tax-rates/RO/reduced", "more", &body).await;
    assert_eq!(more.refusal(), (422, "too-many"));
}

#[tokio::test]
async fn a_key_that_may_calculate_may_not_set_a_price() {
    let mut service = shop().await;
    service.use_key(&["pricing:read"]).await;
    let question = json!({ "currency": "EUR", "sku": "PRD-001", "quantity": 1 });
    assert_eq!(ask(&service, "calculate", &question).await.status, 200);
    let body = json!({ "product_id": "PRD-001", "currency": "EUR", "base_price": 1 });
    assert_eq!(
        put(&service, "prices/PRD-001", "1", &body).await.status,
        403
    );
    service.use_key(&["prices:write"]).await;
    assert_eq!(ask(&service, "calculate", &question).await.status, 403);
}

#[tokio::test]
async fn a_question_is_checked_as_a_command_is() {
    let service = shop().await;
    let send = async |body: String| {
        let request = service.request(Method::POST, "/api/v1/pricing/calculate");
        service.send_text(request, body).await.status.as_u16()
    };
    assert_eq!(send("{".to_owned()).await, 400);
    assert_eq!(send(String::new()).await, 422);
    assert_eq!(send(" ".repeat(256 * 1024 + 1)).await, 413);
    let unknown = r#"{ "currency": "EUR", "sku": "PRD-001", "quantity": 1, "tire": "gold" }"#;
    assert_eq!(send(unknown.to_owned()).await, 422);
}

/// A list with its terms. Customers are made by another API, so lists here are for a tier or for everybody.
fn list(kind: &str, tier: Option<&str>) -> Value {
    let mut body = json!({ "name": "List", "kind": kind, "currency": "EUR" });
    if let Some(tier) = tier {
        body["tier"] = tier.into();
    }
    body
}

#[tokio::test]
async fn a_price_list_is_made_changed_read_listed_and_withdrawn() {
    let service = shop().await;
    let mut body = list("override", Some("gold"));
    body["valid_from"] = "2020-01-01T00:00:00.000Z".into();
    let made = put(&service, "price-lists/gold_2026", "1", &body).await;
    assert_eq!(made.status, 200, "{made:?}");
    assert_eq!(
        (
            &made.body["status"],
            &made.body["priority"],
            &made.body["customer_id"],
            &made.body["tier"]
        ),
        (&json!("active"), &json!(0), &json!(null), &json!("gold"))
    );
    body["priority"] = 7.into();
    let changed = put(&service, "price-lists/gold_2026", "2", &body).await;
    assert_eq!(changed.body["version"], 2);
    let same = put(&service, "price-lists/gold_2026", "3", &body).await;
    assert_eq!(same.body, changed.body);
    put(&service, "price-lists/all", "4", &list("sale", None)).await;
    assert_eq!(
        get(&service, "price-lists/gold_2026").await.body,
        changed.body
    );
    let page = get(&service, "price-lists?limit=1").await;
    assert_eq!(page.body["items"][0]["price_list_id"], "all");
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let next = get(&service, &format!("price-lists?limit=1&cursor={cursor}")).await;
    assert_eq!(next.body["items"], json!([changed.body]));

    let withdraw = "/api/v1/price-lists/gold_2026/withdraw";
    let withdrawn = service.post(withdraw, "5", &json!({})).await;
    assert_eq!(withdrawn.body["status"], "withdrawn", "{withdrawn:?}");
    let again = service.post(withdraw, "6", &json!({})).await;
    assert_eq!(again.body, withdrawn.body);
    let back = put(&service, "price-lists/gold_2026", "7", &body).await;
    assert_eq!(back.refusal(), (409, "price-list-withdrawn"));
    let listed = get(&service, "price-lists/gold_2026/history").await;
    let told: Vec<&Value> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["payload"]["change_type"])
        .collect();
    assert_eq!(told, ["created", "updated", "withdrawn"]);
    assert_eq!(
        listed.body["items"][1]["payload"]["previous_terms"]["priority"],
        0
    );
}

#[tokio::test]
async fn what_a_list_says_of_a_sku_is_set_read_listed_and_removed() {
    let service = shop().await;
    put(
        &service,
        "price-lists/golden",
        "1",
        &list("override", Some("gold")),
    )
    .await;
    let body =
        json!({ "price": "130", "volume_prices": [{ "min_quantity": 100, "price": 100.1234 }] });
    let path = "price-lists/golden/prices/PRD-001";
    let set = put(&service, path, "2", &body).await;
    assert_eq!(set.status, 200, "{set:?}");
    assert_eq!(
        (&set.body["price"], &set.body["volume_prices"]),
        (
            &json!(130),
            &json!([{ "min_quantity": 100, "price": 100.1234 }])
        )
    );
    assert_eq!(get(&service, path).await.body, set.body);
    put(
        &service,
        "price-lists/golden/prices/BOOK-1",
        "3",
        &json!({ "price": 1 }),
    )
    .await;
    let listed = get(&service, "price-lists/golden/prices").await;
    let skus: Vec<&Value> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|item| &item["sku"])
        .collect();
    assert_eq!(skus, ["BOOK-1", "PRD-001"]);

    let question = |quantity: u32| json!({ "currency": "EUR", "sku": "PRD-001", "quantity": quantity, "tier": "gold" });
    let few = ask(&service, "calculate", &question(10)).await;
    assert_eq!(
        few.body,
        json!({
            "sku": "PRD-001", "quantity": 10, "currency": "EUR", "unit_price": 130, "reason": "tier_price", "base_price": 150,
            "list_price": 130, "min_quantity": 1, "price_list_id": "golden", "line_total": 1300,
        })
    );
    let many = ask(&service, "calculate", &question(100)).await;
    assert_eq!(
        (&many.body["unit_price"], &many.body["min_quantity"]),
        (&json!(100.1234), &json!(100))
    );
    let order = json!({
        "currency": "EUR", "country": "RO", "day": "2025-08-01", "tier": "gold",
        "lines": [{ "sku": "PRD-001", "quantity": 10 }, { "sku": "BOOK-1", "quantity": 1 }],
    });
    let order = ask(&service, "calculate-order", &order).await;
    assert_eq!(order.body["totals"]["subtotal"], 1301, "{order:?}");
    assert_eq!(order.body["lines"][1]["price_list_id"], "golden");

    let removed = service.delete(&format!("/api/v1/{path}"), "4").await;
    assert_eq!(removed.body["price"], json!(null), "{removed:?}");
    for gone in [path.to_owned(), format!("{path}/history")] {
        assert_eq!(
            get(&service, &gone).await.refusal(),
            (404, "not-found"),
            "{gone}"
        );
    }
    let twice = service.delete(&format!("/api/v1/{path}"), "5").await;
    assert_eq!(twice.refusal(), (404, "not-found"));
    let listed = get(&service, "price-lists/golden/prices").await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 1);
    let few = ask(&service, "calculate", &question(10)).await;
    assert_eq!(few.body["reason"], "tier_discount");
    // It can be set again, and its events go on.
    let again = put(&service, path, "6", &json!({ "price": 131 })).await;
    assert_eq!(again.body["version"], 3);
    let listed = get(&service, &format!("{path}/history")).await;
    assert_eq!(listed.body["items"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_price_list_that_cannot_be_is_a_problem_by_name() {
    let service = shop().await;
    let unknown = put(
        &service,
        "price-lists/a",
        "1",
        &list("sale", Some("silver")),
    )
    .await;
    assert_eq!(unknown.refusal(), (409, "no-tier"));
    let mut body = list("sale", None);
    body["customer_id"] = "nobody".into();
    let unknown = put(&service, "price-lists/a", "2", &body).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    assert_eq!(unknown.body["customer_id"], "nobody");
    body["tier"] = "gold".into();
    let both = put(&service, "price-lists/a", "3", &body).await;
    assert_eq!(both.pointers(), ["/tier"]);
    let mut body = list("sale", None);
    body["valid_from"] = "2027-01-01T00:00:00.000Z".into();
    body["valid_until"] = "2026-01-01T00:00:00.000Z".into();
    let backwards = put(&service, "price-lists/a", "4", &body).await;
    assert_eq!(backwards.pointers(), ["/valid_until"]);
    let joined = put(&service, "price-lists/a-b", "5", &list("sale", None)).await;
    assert_eq!(joined.status, 400);

    put(&service, "price-lists/a", "6", &list("sale", None)).await;
    let other = put(&service, "price-lists/a", "7", &list("sale", Some("gold"))).await;
    assert_eq!(other.refusal(), (422, "invalid-request"));
    let mut body = list("sale", None);
    body["currency"] = "RON".into();
    let other = put(&service, "price-lists/a", "8", &body).await;
    assert_eq!(other.pointers(), ["/currency"]);
    put(&service, "price-lists/lei", "9", &body).await;
    let priceless = put(
        &service,
        "price-lists/lei/prices/PRD-001",
        "10",
        &json!({ "price": 1 }),
    )
    .await;
    assert_eq!(priceless.refusal(), (422, "no-base-price"));
    assert_eq!(
        (&priceless.body["sku"], &priceless.body["currency"]),
        (&json!("PRD-001"), &json!("RON"))
    );
    let row = json!({ "min_quantity": 5, "price": 1 });
    let twice = json!({ "price": 1, "volume_prices": [row, row] });
    let twice = put(&service, "price-lists/a/prices/PRD-001", "11", &twice).await;
    assert_eq!(twice.pointers(), ["/volume_prices"]);
    for path in [
        "price-lists/b",
        "price-lists/b/history",
        "price-lists/b/prices",
        "price-lists/a/prices/PRD-001",
    ] {
        let missing = get(&service, path).await;
        assert_eq!(missing.refusal(), (404, "not-found"), "{path}");
    }
    for path in ["price-lists/b/prices/PRD-001", "price-lists/a/prices/PRD-9"] {
        let missing = put(&service, path, "12", &json!({ "price": 1 })).await;
        assert_eq!(missing.refusal(), (404, "not-found"), "{path}");
    }
    let question = json!({
        "currency": "EUR", "sku": "PRD-001", "quantity": 1, "customer_id": "nobody",
    });
    let unknown = ask(&service, "calculate", &question).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    assert_eq!(unknown.pointers(), ["/customer_id"]);
    let question = json!({
        "currency": "EUR", "sku": "PRD-001", "quantity": 1, "customer_id": "nobody", "tier": "gold",
    });
    let both = ask(&service, "calculate", &question).await;
    assert_eq!(both.pointers(), ["/tier"]);

    // One of them is there already.
    for number in 2..=5 {
        let path = format!("price-lists/list{number}");
        let made = put(&service, &path, &path, &list("sale", None)).await;
        assert_eq!(made.status, 200, "{made:?}");
    }
    let many = put(&service, "price-lists/list6", "13", &list("sale", None)).await;
    assert_eq!(many.refusal(), (409, "too-many-lists-at-once"));
    assert_eq!(
        (&many.body["most"], &many.body["currency"]),
        (&json!(5), &json!("EUR"))
    );
    // Those for others, and in another currency, do not count.
    let of_tier = put(
        &service,
        "price-lists/list6",
        "14",
        &list("sale", Some("gold")),
    )
    .await;
    assert_eq!(of_tier.status, 200, "{of_tier:?}");
    assert_eq!(service.history("price_list#list5").await.len(), 1);
}

/// A request's mark holds the answer, in 4 KB.
#[tokio::test]
async fn the_largest_answers_of_price_lists_can_be_kept_for_repeats() {
    let service = shop().await;
    let id = "L".repeat(64);
    let mut body = list("override", Some("gold"));
    body["name"] = "\u{1f4b6}".repeat(200).into();
    let made = put(&service, &format!("price-lists/{id}"), "1", &body).await;
    assert_eq!(made.status, 200, "{made:?}");
    let rows: Vec<Value> = (0..20)
        .map(|row| json!({ "min_quantity": 999_900 + row, "price": 99_999_999_999.999_9 }))
        .collect();
    let body = json!({ "price": 99_999_999_999.999_9, "volume_prices": rows });
    let path = format!("price-lists/{id}/prices/PRD-001");
    let set = put(&service, &path, "2", &body).await;
    assert_eq!(set.status, 200, "{set:?}");
}

#[tokio::test]
async fn a_key_that_may_set_prices_may_not_set_a_price_list() {
    let mut service = shop().await;
    service.use_key(&["prices:write", "price-lists:read"]).await;
    let refused = put(&service, "price-lists/a", "1", &list("sale", None)).await;
    assert_eq!(refused.status, 403);
    assert_eq!(get(&service, "price-lists").await.status, 200);
}
