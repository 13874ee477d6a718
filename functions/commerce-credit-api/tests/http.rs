//! The endpoints as callers see them, in process, over the store in memory.
#![allow(missing_docs, clippy::unwrap_used)]

use std::sync::Arc;

use commerce::{
    credit::Asked,
    testing::{ORDER, commit, order_id, table},
};
use commerce_checkout_api::handler::App as Customers;
use commerce_credit_api::{handler::App, router};
use events::{CustomerId, contracts::price::Currency};
use outbox::Outbox;
use serde_json::{Value, json};
use testkit::service::Service;

const ACCOUNT: &str = "/api/v1/credit-accounts/CUST-1";

/// Reserves 1,785.00 for the order, as its consumer does.
async fn reserve(outbox: &Outbox) {
    let customer_id = CustomerId::new("CUST-1").unwrap();
    let amount = "1785".parse().unwrap();
    let asked = Asked::new(order_id(), &customer_id, amount, Currency::Eur);
    commit(outbox, 1, async |commerce, transaction| {
        commerce.reserve_credit(transaction, asked.clone()).await
    })
    .await;
}

async fn register(service: &Service, id: &str, customer_type: &str) {
    let body = json!({
        "customer_type": customer_type, "name": "Acme", "email": "orders@acme.example", "payment_term": "net_30",
        "country": "RO",
    });
    let path = format!("/api/v1/customers/{id}");
    let answer = service.put(&path, id, &body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
}

/// The shop's credit and customers.
async fn service() -> Service {
    let service = Service::start(|outbox, keys| {
        let credit = App::new(outbox.clone(), table());
        let customers = Customers::new(outbox.clone(), table());
        let credit = router::routes().router(Arc::new(credit), keys);
        let customers = commerce_checkout_api::router::routes().router(Arc::new(customers), keys);
        credit.merge(customers.reset_fallback())
    })
    .await;
    register(&service, "CUST-1", "b2b").await;
    register(&service, "CUST-2", "b2c").await;
    service
}

fn limit(limit: &str) -> Value {
    json!({ "currency": "EUR", "credit_limit": limit })
}

#[tokio::test]
async fn an_account_is_opened_used_paid_and_blocked_and_each_step_is_an_event() {
    let service = service().await;
    let path = format!("{ACCOUNT}/limit");
    let opened = service.put(&path, "1", &limit("5000")).await;
    assert_eq!(opened.status, 200, "{opened:?}");
    reserve(service.outbox()).await;
    let payment = |amount: &str, reference: &str| json!({ "order_id": ORDER, "amount": amount, "external_reference": reference });
    let payments = format!("{ACCOUNT}/payments");
    let paid = service.post(&payments, "2", &payment("785", "BT-1")).await;
    assert_eq!(
        (&paid.body["reserved"], &paid.body["available_credit"]),
        (&json!(1000), &json!(4000)),
        "{paid:?}"
    );
    let again = service.post(&payments, "3", &payment("1", "BT-1")).await;
    assert_eq!(again.refusal(), (409, "already-booked"));
    assert_eq!(again.body["order_id"], ORDER);
    let more = service
        .post(&payments, "4", &payment("1000.01", "BT-2"))
        .await;
    assert_eq!(more.refusal(), (409, "more-than-open"));
    assert_eq!(more.body["open"], 1000);
    let why = json!({ "reason": "late payer" });
    let blocked = service.post(&format!("{ACCOUNT}/block"), "5", &why).await;
    assert_eq!(blocked.body["blocked"], true);
    let check = service.get(&format!("{ACCOUNT}/check?amount=1")).await;
    assert_eq!(
        (&check.body["granted"], &check.body["reason"]),
        (&json!(false), &json!("account_blocked"))
    );
    let free = service.post(&format!("{ACCOUNT}/unblock"), "6", &why).await;
    assert_eq!(
        service.get(ACCOUNT).await.body,
        json!({
            "customer_id": "CUST-1", "currency": "EUR", "credit_limit": 5000, "reserved": 1000, "balance": 0,
            "available_credit": 4000, "credit_utilization": 20, "blocked": false,
            "updated_at": free.body["updated_at"], "updated_by": free.body["updated_by"], "version": 5,
        })
    );
    let check = service.get(&format!("{ACCOUNT}/check?amount=4000")).await;
    assert_eq!(check.body["granted"], true);
    let listed = service
        .get(&format!("{ACCOUNT}/transactions?order=newest"))
        .await;
    let types: Vec<&Value> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|event| &event["payload"]["change_type"])
        .collect();
    assert_eq!(
        types,
        [
            "unblocked",
            "blocked",
            "order_paid",
            "credit_reserved",
            "account_opened"
        ]
    );
}

#[tokio::test]
async fn accounts_are_listed_by_customer_page_by_page() {
    let service = service().await;
    let accounts = "/api/v1/credit-accounts";
    let none = service.get(accounts).await;
    assert_eq!(none.body, json!({ "items": [], "next_cursor": null }));
    register(&service, "CUST-3", "b2b").await;
    // An account whose limit changes is listed as it is now, and once.
    for (id, key, amount) in [
        ("CUST-3", "1", "5000"),
        ("CUST-1", "1", "5000"),
        ("CUST-1", "2", "6000"),
    ] {
        let path = format!("{accounts}/{id}/limit");
        let set = service.put(&path, key, &limit(amount)).await;
        assert_eq!(set.status, 200, "{set:?}");
    }
    let one = service.get(ACCOUNT).await.body;
    assert_eq!(one["credit_limit"], 6000);
    let three = service.get(&format!("{accounts}/CUST-3")).await.body;
    let all = service.get(accounts).await.body;
    assert_eq!(all, json!({ "items": [one, three], "next_cursor": null }));
    let first = service.get(&format!("{accounts}?limit=1")).await.body;
    assert_eq!(first["items"], json!([one]));
    let cursor = first["next_cursor"].as_str().unwrap();
    let next = format!("{accounts}?limit=1&cursor={cursor}");
    let last = service.get(&next).await.body;
    assert_eq!(last, json!({ "items": [three], "next_cursor": null }));
    let other = service.get(&format!("{accounts}?cursor=none")).await;
    assert_eq!(
        (other.refusal(), other.pointers()),
        ((400, "invalid-parameter"), vec!["/query/cursor"])
    );
}

#[tokio::test]
async fn what_the_rules_forbid_is_a_problem_and_writes_nothing() {
    let service = service().await;
    let set = async |customer: &str, key: &str, body: Value| {
        let path = format!("/api/v1/credit-accounts/{customer}/limit");
        service.put(&path, key, &body).await
    };
    let unknown = set("CUST-9", "1", limit("1")).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    let consumer = set("CUST-2", "2", limit("1")).await;
    assert_eq!(consumer.refusal(), (409, "no-business"));
    for (number, path) in ["", "/check?amount=1", "/transactions"].iter().enumerate() {
        let none = service.get(&format!("{ACCOUNT}{path}")).await;
        assert_eq!(none.refusal(), (404, "not-found"), "{number}");
    }
    let block = format!("{ACCOUNT}/block");
    let none = service
        .post(&block, "3", &json!({ "reason": "late" }))
        .await;
    assert_eq!(none.refusal(), (404, "not-found"));
    set("CUST-1", "4", limit("5000")).await;
    let lei = json!({ "currency": "RON", "credit_limit": 1 });
    let other = set("CUST-1", "5", lei).await;
    assert_eq!(other.refusal(), (409, "other-currency"));
    assert_eq!(other.body["currency"], "EUR");
    let payments = format!("{ACCOUNT}/payments");
    let payment = json!({ "order_id": ORDER, "amount": 1, "external_reference": "BT-1" });
    let nothing = service.post(&payments, "6", &payment).await;
    assert_eq!(nothing.refusal(), (409, "nothing-open"));
    let zero = json!({ "order_id": ORDER, "amount": 0, "external_reference": "BT-1" });
    let zero = service.post(&payments, "7", &zero).await;
    assert_eq!(zero.pointers(), ["/amount"]);
    // What is set already is no event.
    set("CUST-1", "8", limit("5000.00")).await;
    assert_eq!(service.history("credit#CUST-1").await.len(), 1);
    // The order of another customer.
    reserve(service.outbox()).await;
    register(&service, "CUST-3", "b2b").await;
    set("CUST-3", "9", limit("5000")).await;
    let path = "/api/v1/credit-accounts/CUST-3/payments";
    let payment = json!({ "order_id": ORDER, "amount": 1, "external_reference": "BT-3" });
    let other = service.post(path, "10", &payment).await;
    assert_eq!(other.refusal(), (409, "nothing-open"));
}
