//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use commerce::testing::{CUSTOMER, open, table};
use commerce_checkout_api::{handler::App, router};
use events::Sku;
use http::Method;
use outbox::{Clock as _, SystemClock, Table};
use serde_json::json;
use testkit::costs::{Calls, Site, counted, numbers};

#[tokio::test]
async fn operations_cost_what_the_table_says() {
    let keys = Table::domain("keys");
    let site = Site::start(&[keys.clone(), table()]).await;
    let keys = Keys::new(site.store(), keys);
    let scopes = vec!["*".parse().unwrap()];
    let key = NewKey::generate("costs".parse().unwrap(), scopes, SystemClock.now()).unwrap();
    keys.create(&SystemClock, &key).await.unwrap();
    let outbox = site.outbox().clone();
    let skus: Vec<Sku> = (0..45)
        .map(|number| Sku::new(format!("PRD-{number}")).unwrap())
        .collect();
    open(&outbox, &skus).await;
    let router = router::routes().router(Arc::new(App::new(outbox, table())), &keys);
    let mut calls = Calls::new(site, router, key.text());
    let mut rows = BTreeMap::new();
    let customer = json!({
        "customer_type": "b2b", "name": "Acme", "email": "orders@acme.example", "payment_term": "net_30", "country": "RO",
    });
    let (_, counts) = calls.call(Method::PUT, "customers/CUST-2", &customer).await;
    rows.insert("register a customer".to_owned(), counted(&counts));
    let path = format!("customers/{CUSTOMER}");
    let (_, counts) = calls.call(Method::PUT, &path, &customer).await;
    rows.insert("change a customer".to_owned(), counted(&counts));
    let (_, counts) = calls.get(&path).await;
    rows.insert("read a customer or an order".to_owned(), counted(&counts));
    let (listed, counts) = calls.get("customers").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    rows.insert("list two customers".to_owned(), counted(&counts));
    let order = |lines: usize| {
        let lines = skus[..lines].iter();
        let lines: Vec<_> = lines
            .map(|sku| json!({ "sku": sku, "quantity": 1 }))
            .collect();
        json!({ "customer_id": CUSTOMER, "currency": "EUR", "lines": lines })
    };
    let (_, counts) = calls.post("orders", &order(1)).await;
    rows.insert(
        "place the first order of a block of 100".to_owned(),
        counted(&counts),
    );
    let (placed, counts) = calls.post("orders", &order(1)).await;
    rows.insert("place an order of one line".to_owned(), counted(&counts));
    let (listed, counts) = calls.get(&format!("orders?customer_id={CUSTOMER}")).await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    rows.insert("list a customer's two orders".to_owned(), counted(&counts));
    let (_, counts) = calls.post("orders", &order(45)).await;
    rows.insert("place an order of 45 lines".to_owned(), counted(&counts));
    let id = placed["order_id"].as_str().unwrap();
    let (_, counts) = calls.post(&format!("orders/{id}/cancel"), &json!({})).await;
    rows.insert(
        "cancel, ship or deliver an order of one line".to_owned(),
        counted(&counts),
    );
    let (_, counts) = calls.get(&format!("orders/{id}/timeline")).await;
    rows.insert(
        "read the timeline of two steps".to_owned(),
        counted(&counts),
    );
    assert_eq!(
        numbers("operation of `commerce-checkout-api`"),
        rows,
        "left: COSTS.md, right: counted"
    );
}
