//! Compares the cost of each operation with COSTS.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.
#![allow(missing_docs, clippy::unwrap_used)]

use std::{collections::BTreeMap, sync::Arc};

use api::{Keys, keys::NewKey};
use commerce::{
    credit::Asked,
    testing::{CUSTOMER, ORDER, commit, customer_id, desk, open, order_id, profile, table},
};
use commerce_credit_api::{handler::App, router};
use events::{
    CustomerId,
    contracts::{customer::CustomerType, price::Currency},
};
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
    open(&outbox, &[]).await;
    let asked = Asked::new(
        order_id(),
        &customer_id(),
        "1785".parse().unwrap(),
        Currency::Eur,
    );
    commit(&outbox, 1_000, async |commerce, transaction| {
        commerce.reserve_credit(transaction, asked.clone()).await
    })
    .await;
    let other = CustomerId::new("CUST-2").unwrap();
    commit(&outbox, 1_001, async |commerce, transaction| {
        let profile = profile(CustomerType::B2b);
        commerce
            .set_customer(transaction, &other, profile, desk())
            .await
    })
    .await;
    let router = router::routes().router(Arc::new(App::new(outbox, table())), &keys);
    let mut calls = Calls::new(site, router, key.text());
    let mut rows = BTreeMap::new();
    let account = format!("credit-accounts/{CUSTOMER}");
    let limit = json!({ "currency": "EUR", "credit_limit": 6000 });
    let opened = "credit-accounts/CUST-2/limit";
    let (_, counts) = calls.call(Method::PUT, opened, &limit).await;
    rows.insert("open an account".to_owned(), counted(&counts));
    let (_, counts) = calls
        .call(Method::PUT, &format!("{account}/limit"), &limit)
        .await;
    rows.insert("change a limit".to_owned(), counted(&counts));
    let why = json!({ "reason": "late payer" });
    let (_, counts) = calls.post(&format!("{account}/block"), &why).await;
    rows.insert("block or unblock an account".to_owned(), counted(&counts));
    let paid = json!({ "order_id": ORDER, "amount": 785, "external_reference": "BT-1" });
    let (_, counts) = calls.post(&format!("{account}/payments"), &paid).await;
    rows.insert("book a payment".to_owned(), counted(&counts));
    let (_, counts) = calls.get(&account).await;
    rows.insert(
        "read an account, or check an amount".to_owned(),
        counted(&counts),
    );
    let (listed, counts) = calls.get("credit-accounts").await;
    assert_eq!(listed["items"].as_array().unwrap().len(), 2);
    rows.insert("list two accounts".to_owned(), counted(&counts));
    let (_, counts) = calls.get(&format!("{account}/transactions")).await;
    rows.insert("list five transactions".to_owned(), counted(&counts));
    assert_eq!(
        numbers("operation of `commerce-credit-api`"),
        rows,
        "left: COSTS.md, right: counted"
    );
}
