//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use commerce_pricing_api::{handler::App, router};
use http::Method;
use outbox::{Clock as _, SystemClock, Table};
use serde_json::{Value, json};
use testkit::costs::{Calls, Site, counted, numbers};

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let [keys, commerce] = ["keys", "commerce"].map(Table::domain);
    let site = Site::start(&[keys.clone(), commerce.clone()]).await;
    let keys = Keys::new(site.store(), keys);
    let scopes = vec!["*".parse().unwrap()];
    let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
    keys.create(&SystemClock, &key).await.unwrap();
    let app = App::new(site.outbox().clone(), commerce);
    let router = router::routes().router(Arc::new(app), &keys);
    let mut calls = Calls::new(site, router, key.text());
    let mut rows = BTreeMap::new();

    let price = |base: u32| json!({ "product_id": "P", "currency": "EUR", "base_price": base });
    let sets = [
        ("set the first price of a sku", "prices/P-0", price(1)),
        ("change a price", "prices/P-0", price(2)),
        ("set a price that is set already", "prices/P-0", price(2)),
        ("set a tier", "tiers/gold", json!({ "discount_percent": 5 })),
        (
            "set a tax rate",
            "tax-rates/RO/standard",
            json!({ "rate": 21, "valid_from": "2025-08-01" }),
        ),
    ];
    for (row, path, body) in sets {
        let (_, counts) = calls.call(Method::PUT, path, &body).await;
        rows.insert(row.to_owned(), counted(&counts));
    }
    for number in 1..45 {
        calls
            .call(Method::PUT, &format!("prices/P-{number}"), &price(1))
            .await;
    }
    let (_, counts) = calls.get("prices/P-0").await;
    rows.insert(
        "read prices, a tier or tax rates".to_owned(),
        counted(&counts),
    );
    let (_, counts) = calls.get("prices/P-0/history").await;
    rows.insert("list two changes of a price".to_owned(), counted(&counts));
    let line = |number: u32| json!({ "sku": format!("P-{number}"), "quantity": 1 });
    let order = |lines: Vec<Value>| json!({ "currency": "EUR", "country": "RO", "tier": "gold", "lines": lines });
    let asked = [
        (
            "calculate a line for a tier",
            "pricing/calculate",
            json!({ "currency": "EUR", "sku": "P-0", "quantity": 1, "tier": "gold" }),
        ),
        (
            "calculate an order of one line for a tier",
            "pricing/calculate-order",
            order(vec![line(0)]),
        ),
        (
            "calculate an order of 45 lines for a tier",
            "pricing/calculate-order",
            order((0..45).map(line).collect()),
        ),
    ];
    for (row, path, body) in asked {
        let (_, counts) = calls.post(path, &body).await;
        rows.insert(row.to_owned(), counted(&counts));
    }
    let silver = json!({ "discount_percent": 2 });
    calls.call(Method::PUT, "tiers/silver", &silver).await;
    let lists = [
        (
            "make a price list for a tier",
            "price-lists/silver",
            json!({ "name": "L", "kind": "override", "tier": "silver", "currency": "EUR" }),
        ),
        (
            "set the first price of a sku in a price list",
            "price-lists/silver/prices/P-0",
            json!({ "price": 1 }),
        ),
    ];
    for (row, path, body) in lists {
        let (_, counts) = calls.call(Method::PUT, path, &body).await;
        rows.insert(row.to_owned(), counted(&counts));
    }
    let question = json!({ "currency": "EUR", "sku": "P-0", "quantity": 1, "tier": "silver" });
    let (_, counts) = calls.post("pricing/calculate", &question).await;
    rows.insert(
        "calculate a line for a tier with a price list".to_owned(),
        counted(&counts),
    );
    assert_eq!(
        numbers("operation of `commerce-pricing-api`"),
        rows,
        "left: COSTS.md, right: counted"
    );
}
