//! Tests the wallet endpoints as callers see them, over the in-memory store.

use std::{collections::BTreeSet, time::Duration};

use crate::service::{Service, activity_table, payment_body, wallet_table};
use events::{Envelope, EscrowId, MemberId};
use futures::future::join_all;
use http::Method;
use outbox::{Store as _, encode_item};
use serde_json::{Value, json};
use views::activity::Activity;
use wallet::ledger::{self, LedgerEntry};
use wallet_api::balances::CacheSettings;

const ADA: &str = "/api/v1/wallets/ada";

async fn history(service: &Service, aggregate: &str) -> Vec<Envelope> {
    service.history(aggregate).await
}

fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

fn types(events: &[Envelope]) -> Vec<&str> {
    events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect()
}

/// Everything in the ledger.
fn entries(service: &Service) -> Vec<LedgerEntry> {
    let entries = service.everything().into_iter().filter(|item| {
        item.get("sk")
            .and_then(Value::as_str)
            .is_some_and(|sk| sk.starts_with("entry#"))
    });
    entries
        .map(|item| serde_json::from_value(Value::Object(item)).unwrap())
        .collect()
}

fn hold_body(amount: &str) -> Value {
    json!({
        "amount": amount, "reason": "performance_request", "queue_item_id": "q-1", "feature_type": "song",
        "request_id": "r-1"
    })
}

async fn hold(service: &Service, key: &str, amount: &str) -> String {
    let answer = service
        .post(&format!("{ADA}/escrows"), key, &hold_body(amount))
        .await;
    assert_eq!(answer.status, 201, "{:?}", answer.body);
    answer.body["escrow_id"].as_str().unwrap().to_owned()
}

async fn balance(service: &Service, path: &str) -> Value {
    let answer = service
        .get(&format!("{path}/balance?consistent=true"))
        .await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(answer.body["source"], "store");
    json!([
        answer.body["available"],
        answer.body["escrow"],
        answer.body["earned"]
    ])
}

fn end(escrow: &str, how: &str) -> String {
    format!("/api/v1/escrows/{escrow}/{how}")
}

#[tokio::test]
async fn a_deposit_and_a_withdrawal_are_told_and_balance_against_the_outside() {
    let service = Service::with_members(&["ada"]).await;
    let correlation = "11111111-2222-4333-8444-555555555555";
    let request = service
        .request(Method::POST, &format!("{ADA}/deposits"))
        .header("idempotency-key", "d1")
        .header("x-correlation-id", correlation);
    let deposit = service.send(request, &payment_body("bank/1", 100.5)).await;
    assert_eq!(deposit.status, 201);
    assert_eq!(deposit.body["available"], 100.5);
    assert_eq!(deposit.body.as_object().unwrap().len(), 3);
    let withdrawal = service
        .post(
            &format!("{ADA}/withdrawals"),
            "w1",
            &payment_body("bank/1", "0.5"),
        )
        .await;
    assert_eq!(withdrawal.status, 201);
    assert_eq!(withdrawal.body["available"], 100);
    assert!(withdrawal.body.get("earned").is_none());

    let events = history(&service, "wallet_account#user-ada").await;
    assert_eq!(
        types(&events),
        [
            "wallet.deposited",
            "wallet.balance_updated",
            "wallet.withdrawn",
            "wallet.balance_updated"
        ]
    );
    assert_eq!(events[0].correlation_id.to_string(), correlation);
    assert_eq!(events[0].priority.as_str(), "high");
    let owner = events[0].metadata.as_ref().unwrap();
    assert_eq!(owner.other["api_key_owner"], "billing");
    let id = &deposit.body["transaction_id"];
    let facts: Vec<&str> = events
        .iter()
        .map(|event| event.idempotency_key.as_ref().unwrap().as_str())
        .collect();
    let fact = |answer: &crate::service::Answer, of| {
        format!("{}/{of}", answer.body["transaction_id"].as_str().unwrap())
    };
    assert_eq!(
        facts,
        [
            "deposit/bank/1".to_owned(),
            fact(&deposit, "available"),
            "withdrawal/bank/1".to_owned(),
            fact(&withdrawal, "available"),
        ]
    );
    assert_eq!(
        payload(&events[1]),
        json!({
            "account_id": "ada", "account_type": "user", "balance_state": "available", "balance_before": 0,
            "balance_after": 100.5, "change_amount": 100.5, "reason": "deposit", "transaction_id": id,
            "ledger_entry_id": "user-ada/1", "version": 1
        })
    );
    assert_eq!(payload(&events[3])["change_amount"], -0.5);

    let ledger = service.get(&format!("{ADA}/ledger")).await;
    let lines: Vec<Value> = ledger.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| {
            json!([
                entry["ledger_entry_id"],
                entry["balance_state"],
                entry["amount"]
            ])
        })
        .collect();
    assert_eq!(
        lines,
        [
            json!(["user-ada/4", "external", 0.5]),
            json!(["user-ada/3", "available", -0.5]),
            json!(["user-ada/2", "external", -100.5]),
            json!(["user-ada/1", "available", 100.5]),
        ]
    );
    assert_eq!(ledger::faults(&entries(&service)), []);
}

#[tokio::test]
async fn a_hold_moves_points_to_escrow_and_is_told_with_all_that_was_asked() {
    let service = Service::with_members(&["ada"]).await;
    service.deposit("d", "ada", "100").await;
    let answer = service
        .post(&format!("{ADA}/escrows"), "h", &hold_body("40"))
        .await;
    assert_eq!(answer.status, 201);
    assert_eq!(
        (&answer.body["available"], &answer.body["escrow"]),
        (&json!(60), &json!(40))
    );
    let escrow_id = answer.body["escrow_id"].as_str().unwrap();
    let recorded = history(&service, &format!("escrow#{escrow_id}")).await;
    assert_eq!(types(&recorded), ["wallet.escrow_held"]);
    assert_eq!(recorded[0].event_id.to_string(), answer.body["event_id"]);
    assert_eq!(
        recorded[0].idempotency_key.as_ref().unwrap().as_str(),
        format!("escrow/{escrow_id}/hold")
    );
    assert_eq!(
        payload(&recorded[0]),
        json!({
            "user_id": "ada", "escrow_id": escrow_id, "amount": 40, "reason": "performance_request",
            "transaction_id": answer.body["transaction_id"], "user_available_balance": 60, "user_escrow_balance": 40,
            "queue_item_id": "q-1", "feature_type": "song", "request_id": "r-1", "user_version": 2, "version": 1
        })
    );
    let updates = history(&service, "wallet_account#user-ada").await;
    let updates: Vec<Value> = updates[2..].iter().map(payload).collect();
    let states: Vec<Value> = updates
        .iter()
        .map(|of| json!([of["balance_state"], of["change_amount"], of["version"]]))
        .collect();
    assert_eq!(
        states,
        [json!(["available", -40, 2]), json!(["escrow", 40, 2])]
    );
    let read = service.get(&format!("/api/v1/escrows/{escrow_id}")).await;
    assert_eq!(
        (
            &read.body["status"],
            &read.body["amount"],
            &read.body["user_id"]
        ),
        (&json!("held"), &json!(40), &json!("ada"))
    );
}

#[tokio::test]
async fn a_settled_escrow_is_the_models_earnings() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.deposit("d", "ada", "100").await;
    let escrow = hold(&service, "h", "40").await;
    let answer = service
        .post(&end(&escrow, "settle"), "s", &json!({ "model_id": "bo" }))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["status"], "settled");
    assert_eq!(
        (&answer.body["escrow"], &answer.body["earned"]),
        (&json!(0), &json!(40))
    );
    assert!(answer.body.get("available").is_none());
    assert_eq!(balance(&service, ADA).await, json!([60, 0, 0]));
    let of_model = service
        .get("/api/v1/wallets/bo/balance?account_type=model&consistent=true")
        .await;
    assert_eq!(of_model.body["earned"], 40);

    let recorded = history(&service, &format!("escrow#{escrow}")).await;
    assert_eq!(
        types(&recorded),
        ["wallet.escrow_held", "wallet.escrow_settled"]
    );
    let settled = payload(&recorded[1]);
    assert_eq!(
        json!([
            settled["user_version"],
            settled["model_version"],
            settled["version"]
        ]),
        json!([3, 1, 2])
    );
    let earned = history(&service, "wallet_account#model-bo").await;
    assert_eq!(types(&earned), ["wallet.balance_updated"]);
    assert_eq!(payload(&earned[0])["ledger_entry_id"], "model-bo/1");

    let path = "/api/v1/wallets/bo/withdrawals";
    let mut body = payment_body("payout/1", 15);
    body["account_type"] = "model".into();
    let withdrawal = service.post(path, "w", &body).await;
    assert_eq!(withdrawal.body["earned"], 25);
    assert_eq!(ledger::faults(&entries(&service)), []);
}

#[tokio::test]
async fn a_refund_needs_no_body_and_gives_all_back() {
    let service = Service::with_members(&["ada"]).await;
    service.deposit("d", "ada", "100").await;
    let escrow = hold(&service, "h", "40").await;
    let request = service
        .request(Method::POST, &end(&escrow, "refund"))
        .header("idempotency-key", "r");
    let answer = service.send_text(request, "").await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["status"]),
        (200, &json!("refunded"))
    );
    assert_eq!(
        (&answer.body["available"], &answer.body["escrow"]),
        (&json!(100), &json!(0))
    );
    assert!(answer.body.get("earned").is_none());
    assert_eq!(balance(&service, ADA).await, json!([100, 0, 0]));
}

#[tokio::test]
async fn a_divided_escrow_gives_each_their_part() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.deposit("d", "ada", "100").await;
    let escrow = hold(&service, "h", "40").await;
    let body = json!({ "refund_amount": 9.99, "settle_amount": 30.01, "model_id": "bo" });
    let answer = service
        .post(&end(&escrow, "partial-settle"), "p", &body)
        .await;
    assert_eq!(answer.status, 200, "{:?}", answer.body);
    assert_eq!(
        json!([
            answer.body["status"],
            answer.body["available"],
            answer.body["escrow"],
            answer.body["earned"]
        ]),
        json!(["partially_settled", 69.99, 0, 30.01])
    );
    let recorded = history(&service, &format!("escrow#{escrow}")).await;
    assert_eq!(types(&recorded)[1], "wallet.escrow_partial_settled");
    assert_eq!(
        recorded[1].idempotency_key.as_ref().unwrap().as_str(),
        format!("escrow/{escrow}/partial_settle")
    );
    assert_eq!(history(&service, "wallet_account#user-ada").await.len(), 6);
    assert_eq!(history(&service, "wallet_account#model-bo").await.len(), 1);
    let read = service.get(&format!("/api/v1/escrows/{escrow}")).await;
    assert_eq!(
        json!([
            read.body["refund_amount"],
            read.body["settle_amount"],
            read.body["model_id"]
        ]),
        json!([9.99, 30.01, "bo"])
    );
    assert_eq!(ledger::faults(&entries(&service)), []);
}

#[tokio::test]
async fn a_member_may_be_user_and_model_of_one_escrow() {
    let service = Service::with_members(&["ada"]).await;
    service.deposit("d", "ada", "100").await;
    let escrow = hold(&service, "h", "40").await;
    let answer = service
        .post(&end(&escrow, "settle"), "s", &json!({ "model_id": "ada" }))
        .await;
    assert_eq!(answer.status, 200);
    assert_eq!(balance(&service, ADA).await, json!([60, 0, 0]));
    assert_eq!(history(&service, "wallet_account#model-ada").await.len(), 1);
}

#[tokio::test]
async fn every_refusal_is_a_problem_of_its_own_and_writes_nothing() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.deposit("d", "ada", "100").await;
    let held = hold(&service, "h", "40").await;
    let settled = hold(&service, "h2", "1").await;
    let settle = json!({ "model_id": "bo" });
    service.post(&end(&settled, "settle"), "s", &settle).await;
    let nowhere = "00000000-0000-7000-8000-000000000001";
    let parts = |refund: Value, settle: Value| json!({ "refund_amount": refund, "settle_amount": settle, "model_id": "bo" });
    let mut unknown_reason = hold_body("1");
    unknown_reason["reason"] = "because".into();
    let before = service.everything();

    let cases = [
        (
            "/api/v1/wallets/ghost/deposits".to_owned(),
            payment_body("p", 1),
            404,
            "not-found",
        ),
        (
            "/api/v1/wallets/ghost/withdrawals".to_owned(),
            payment_body("p", 1),
            404,
            "not-found",
        ),
        (
            "/api/v1/wallets/ghost/escrows".to_owned(),
            hold_body("1"),
            404,
            "not-found",
        ),
        (
            end(&held, "settle"),
            json!({ "model_id": "ghost" }),
            404,
            "not-found",
        ),
        (end(nowhere, "settle"), settle.clone(), 404, "not-found"),
        (end(nowhere, "refund"), json!({}), 404, "not-found"),
        (
            end(nowhere, "partial-settle"),
            parts(json!(1), json!(1)),
            404,
            "not-found",
        ),
        (
            format!("{ADA}/deposits"),
            payment_body("p", 9_999_999_999_999.0),
            409,
            "balance-too-large",
        ),
        (
            format!("{ADA}/withdrawals"),
            payment_body("p", 59.01),
            409,
            "insufficient-funds",
        ),
        (
            format!("{ADA}/withdrawals"),
            json!({ "amount": 1, "account_type": "model", "external_reference": "p" }),
            409,
            "insufficient-funds",
        ),
        (
            format!("{ADA}/escrows"),
            hold_body("59.01"),
            409,
            "insufficient-funds",
        ),
        (
            format!("{ADA}/escrows"),
            unknown_reason,
            422,
            "unknown-reason",
        ),
        (end(&settled, "settle"), settle, 409, "escrow-not-held"),
        (end(&settled, "refund"), json!({}), 409, "escrow-not-held"),
        (
            end(&settled, "partial-settle"),
            parts(json!(0.5), json!(0.5)),
            409,
            "escrow-not-held",
        ),
        (
            end(&held, "partial-settle"),
            parts(json!(10), json!(29.99)),
            422,
            "parts-differ",
        ),
        (
            end(&held, "partial-settle"),
            parts(json!(0), json!(40)),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/deposits"),
            payment_body("p", 0),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/deposits"),
            payment_body("p", -1),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/deposits"),
            payment_body("p", 0.001),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/deposits"),
            json!({ "amount": 1, "account_type": "user", "external_reference": "p" }),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/withdrawals"),
            json!({ "amount": 1, "account_type": "admin", "external_reference": "p" }),
            422,
            "invalid-request",
        ),
        (
            format!("{ADA}/escrows"),
            json!({ "amount": 1 }),
            422,
            "invalid-request",
        ),
    ];
    for (path, body, status, name) in cases {
        let answer = service.post(&path, "k", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (status, name),
            "{path} {body}"
        );
        assert_eq!(service.everything(), before, "{path} {body}");
    }

    let short = service
        .post(&format!("{ADA}/escrows"), "k", &hold_body("60"))
        .await;
    assert_eq!(
        json!([short.body["available"], short.body["needed"]]),
        json!([59, 60])
    );
    let ended = service
        .post(&end(&settled, "refund"), "k", &json!({}))
        .await;
    assert_eq!(ended.body["status"], 409);
    assert_eq!(ended.body["escrow_status"], "settled");
    assert!(ended.body["detail"].as_str().unwrap().contains("settled"));
    let differ = service
        .post(
            &end(&held, "partial-settle"),
            "k",
            &parts(json!(10), json!(29.99)),
        )
        .await;
    assert_eq!(
        json!([differ.body["held"], differ.body["difference"]]),
        json!([40, -0.01])
    );
    let ghost = service
        .post(&end(&held, "settle"), "k", &json!({ "model_id": "ghost" }))
        .await;
    assert_eq!(ghost.pointers(), ["/model_id"]);
    for path in [
        "/api/v1/wallets/ghost/balance",
        "/api/v1/wallets/ghost/ledger",
        "/api/v1/wallets/ghost/activity",
        "/api/v1/escrows/00000000-0000-7000-8000-000000000001",
    ] {
        assert_eq!(service.get(path).await.problem(), "not-found", "{path}");
    }
    for path in [
        format!("{ADA}/balance?account_type=admin"),
        format!("{ADA}/balance?consistent=maybe"),
        "/api/v1/escrows/none".to_owned(),
    ] {
        assert_eq!(
            service.get(&path).await.problem(),
            "invalid-parameter",
            "{path}"
        );
    }
}

#[tokio::test]
async fn a_payment_of_the_outside_is_booked_once_by_whomever_and_under_whatever_key() {
    let mut service = Service::with_members(&["ada", "bo"]).await;
    let first = service.deposit("bank/1", "ada", "5").await;
    assert_eq!(first.status, 201);
    let (path, body) = (format!("{ADA}/withdrawals"), payment_body("bank/1", 1));
    let withdrawal = service.post(&path, "w", &body).await;
    assert_eq!(withdrawal.status, 201, "a payment out has facts of its own");
    let events = history(&service, "wallet_account#user-ada").await;
    let facts: Vec<Value> = events
        .iter()
        .filter(|event| event.event_type.as_str() != "wallet.balance_updated")
        .map(|event| {
            json!([
                event.idempotency_key,
                payload(event)["external_reference"].as_str()
            ])
        })
        .collect();
    assert_eq!(
        json!(facts),
        json!([
            ["deposit/bank/1", "bank/1"],
            ["withdrawal/bank/1", "bank/1"]
        ])
    );

    // A repeat of the first request gets the first answer.
    let repeat = service.deposit("bank/1", "ada", "5").await;
    assert_eq!((repeat.status.as_u16(), &repeat.body), (201, &first.body));
    // After the request's mark has expired, and for other owners and members, only the fact is left.
    service.use_key(&["wallets:write"]).await;
    let before = service.everything();
    for (key, member, what, booked) in [
        ("k1", "ada", "deposits", &first),
        ("k2", "bo", "deposits", &first),
        ("k3", "ada", "withdrawals", &withdrawal),
        ("k4", "bo", "withdrawals", &withdrawal),
    ] {
        let path = format!("/api/v1/wallets/{member}/{what}");
        let again = service.post(&path, key, &payment_body("bank/1", 7)).await;
        assert_eq!(
            (again.status.as_u16(), again.problem()),
            (409, "external-reference-booked")
        );
        assert_eq!(again.pointers(), ["/external_reference"]);
        assert_eq!(again.body["transaction_id"], booked.body["transaction_id"]);
        let what = json!([again.body["account_id"], again.body["account_type"]]);
        assert_eq!(what, json!(["ada", "user"]));
    }
    assert_eq!(service.everything(), before, "a refusal writes nothing");

    // Two at once: one of them is booked, the other is told so.
    let (one, two) = tokio::join!(
        service.deposit("bank/2", "ada", "1"),
        service.deposit("bank/2", "bo", "1")
    );
    let (won, lost) = if one.status == 201 {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!((won.status.as_u16(), lost.status.as_u16()), (201, 409));
    assert_eq!(lost.body["transaction_id"], won.body["transaction_id"]);
    assert_eq!(lost.body["amount"], 1);
}

#[tokio::test]
async fn a_deposit_or_withdrawal_without_a_reference_or_with_a_malformed_one_is_refused() {
    let service = Service::with_members(&["ada"]).await;
    let long = "r".repeat(201);
    for what in ["deposits", "withdrawals"] {
        let path = format!("{ADA}/{what}");
        let mut bodies = vec![json!({ "amount": 1 })];
        bodies.extend(["", "a#b", "a b", "\u{e4}", &long].map(|text| payment_body(text, 1)));
        for body in bodies {
            let answer = service.post(&path, "k", &body).await;
            assert_eq!(answer.problem(), "invalid-request", "{body}");
            assert_eq!(answer.pointers(), ["/external_reference"], "{body}");
        }
    }
}

#[tokio::test]
async fn an_unknown_reason_is_told_those_that_are_allowed() {
    let service = Service::with_members(&["ada"]).await;
    let mut body = hold_body("1");
    body["reason"] = "deposit".into();
    let answer = service.post(&format!("{ADA}/escrows"), "k", &body).await;
    assert_eq!(answer.pointers(), ["/reason"]);
    assert_eq!(
        answer.body["allowed"],
        json!([
            "performance_request",
            "feature_purchase",
            "tip",
            "game",
            "other"
        ])
    );
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_whatever_the_rules_say_now() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let deposit = service.deposit("d", "ada", "40").await;
    let first = service
        .post(&format!("{ADA}/escrows"), "h", &hold_body("40"))
        .await;
    let escrow = first.body["escrow_id"].as_str().unwrap().to_owned();
    let model = json!({ "model_id": "bo" });
    let settled = service.post(&end(&escrow, "settle"), "s", &model).await;
    assert_eq!(settled.status, 200);
    let before = service.everything();
    for (path, key, body, answer) in [
        (
            format!("{ADA}/deposits"),
            "d",
            payment_body("d", "40"),
            &deposit,
        ),
        (format!("{ADA}/escrows"), "h", hold_body("40"), &first),
        (end(&escrow, "settle"), "s", model.clone(), &settled),
    ] {
        let again = service.post(&path, key, &body).await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(service.everything(), before);
    let other = service
        .post(&end(&escrow, "settle"), "s", &json!({ "model_id": "ada" }))
        .await;
    assert_eq!(other.problem(), "idempotency-key-reused");
}

#[tokio::test]
async fn many_at_once_neither_overdraw_nor_end_an_escrow_twice() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.deposit("d", "ada", "100").await;
    let path = format!("{ADA}/escrows");
    let holds = (0..6).map(|number| {
        let (service, path) = (&service, &path);
        async move {
            service
                .post(path, &format!("h{number}"), &hold_body("30"))
                .await
        }
    });
    let answers = join_all(holds).await;
    let held: Vec<&str> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.body["escrow_id"].as_str().unwrap())
        .collect();
    assert!((1..=3).contains(&held.len()));
    let others: BTreeSet<&str> = answers
        .iter()
        .filter(|answer| answer.status != 201)
        .map(|answer| answer.problem())
        .collect();
    assert!(
        others
            .iter()
            .all(|name| ["insufficient-funds", "contention"].contains(name))
    );

    let escrow = held[0];
    let ends = ["settle", "refund", "settle", "refund"];
    let ends = ends.iter().enumerate().map(|(number, how)| {
        let service = &service;
        let body = if *how == "settle" {
            json!({ "model_id": "bo" })
        } else {
            json!({})
        };
        async move {
            service
                .post(&end(escrow, how), &format!("e{number}"), &body)
                .await
        }
    });
    let ends = join_all(ends).await;
    assert_eq!(ends.iter().filter(|answer| answer.status == 200).count(), 1);
    assert!(
        service.store().cancelled() > 0,
        "no two transactions conflicted"
    );
    assert_eq!(ledger::faults(&entries(&service)), []);
}

#[tokio::test]
async fn pages_of_the_ledger_hang_together_and_each_account_has_its_own() {
    let service = Service::with_members(&["ada"]).await;
    for number in 0..3 {
        service.deposit(&format!("d{number}"), "ada", "1").await;
    }
    let mut path = format!("{ADA}/ledger?limit=4");
    let mut numbers = Vec::new();
    loop {
        let page = service.get(&path).await;
        assert_eq!(page.status, 200);
        let items = page.body["items"].as_array().unwrap();
        numbers.extend(items.iter().map(|entry| entry["number"].as_u64().unwrap()));
        match page.body["next_cursor"].as_str() {
            Some(cursor) => path = format!("{ADA}/ledger?limit=4&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(numbers, [6, 5, 4, 3, 2, 1]);
    let of_model = service
        .get(&format!("{ADA}/ledger?account_type=model"))
        .await;
    assert_eq!(of_model.body["items"], json!([]));
}

#[tokio::test]
async fn activity_is_what_the_feed_keeps_newest_first() {
    let service = Service::with_members(&["ada"]).await;
    let ada = MemberId::new("ada").unwrap();
    for minute in 1..=2 {
        let activity: Activity = serde_json::from_value(json!({
            "event_type": "wallet.escrow_held", "amount": minute, "escrow_id": "00000000-0000-7000-8000-000000000001",
            "occurred_at": format!("2026-11-21T10:0{minute}:00.000Z"),
            "event_id": "00000000-0000-7000-8000-000000000002"
        }))
        .unwrap();
        let table = activity_table();
        let item = encode_item(&activity.key(&table, &ada), &activity.stored()).unwrap();
        service.store().put_all(&table, &[item]).await.unwrap();
    }
    let page = service.get(&format!("{ADA}/activity?limit=1")).await;
    assert_eq!(page.body["items"][0]["amount"], 2);
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let rest = service
        .get(&format!("{ADA}/activity?limit=1&cursor={cursor}"))
        .await;
    assert_eq!(rest.body["items"][0]["amount"], 1);
    assert!(rest.body["items"][0].get("expires_at").is_none());
}

#[tokio::test]
async fn a_balance_comes_from_the_store_until_the_read_model_has_what_this_instance_wrote() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let read = async |query: &str| {
        let answer = service.get(&format!("{ADA}/balance{query}")).await;
        assert_eq!(answer.status, 200, "{:?}", answer.body);
        json!([
            answer.body["source"],
            answer.body["available"],
            answer.body["escrow"]
        ])
    };
    // The account does not exist yet: the answer has zeros and is not cached, because another instance may open the
    // account.
    assert_eq!(read("").await, json!(["store", 0, 0]));
    assert_eq!(read("").await, json!(["store", 0, 0]));

    service.deposit("d", "ada", "100").await;
    let deposited = history(&service, "wallet_account#user-ada").await;
    assert_eq!(read("").await, json!(["store", 100, 0]));
    assert_eq!(read("").await, json!(["cache", 100, 0]));
    assert_eq!(read("?consistent=true").await, json!(["store", 100, 0]));

    // A hold removes the cached balance. The rows of the deposit alone are older than the hold, and half of the hold's
    // rows are not all of it.
    service.project(&deposited).await;
    hold(&service, "h", "40").await;
    assert_eq!(read("").await, json!(["store", 60, 40]));
    let escrow = hold(&service, "h2", "10").await;
    let events = history(&service, "wallet_account#user-ada").await;
    let (available, escrowed) = (&events[4..5], &events[5..6]);
    service.project(available).await;
    assert_eq!(read("").await, json!(["store", 50, 50]));
    service.post(&end(&escrow, "refund"), "r", &json!({})).await;
    service.project(escrowed).await;
    assert_eq!(read("").await, json!(["store", 60, 40]));

    // Once all events are handled, the rows are trusted.
    let body = payment_body("w", 1);
    service
        .post(&format!("{ADA}/withdrawals"), "w", &body)
        .await;
    let events = history(&service, "wallet_account#user-ada").await;
    service.project(&events).await;
    assert_eq!(read("").await, json!(["read_model", 59, 40]));
    assert_eq!(read("").await, json!(["cache", 59, 40]));
    let answer = service.get(&format!("{ADA}/balance")).await;
    assert_eq!(
        answer.body["as_of"],
        events.last().unwrap().occurred_at.to_string()
    );
    let model = service
        .get(&format!("{ADA}/balance?account_type=model"))
        .await;
    assert_eq!(
        json!([model.body["source"], model.body["earned"]]),
        json!(["store", 0])
    );
}

#[tokio::test]
async fn what_others_wrote_is_seen_when_the_reading_is_too_old_to_be_kept() {
    let cache = CacheSettings {
        ttl: Duration::from_millis(30),
        ..CacheSettings::default()
    };
    let service = Service::with_cache(&["ada"], cache).await;
    let other = service.other_instance(CacheSettings::default());
    service.deposit("d", "ada", "100").await;
    let path = format!("{ADA}/balance");
    assert_eq!(service.get(&path).await.body["source"], "store");
    other.deposit("d2", "ada", "5").await;
    let kept = service.get(&path).await;
    assert_eq!(
        json!([kept.body["source"], kept.body["available"]]),
        json!(["cache", 100])
    );
    tokio::time::sleep(Duration::from_millis(60)).await;
    let read = service.get(&path).await;
    assert_eq!(
        json!([read.body["source"], read.body["available"]]),
        json!(["store", 105])
    );
}

#[tokio::test]
async fn without_a_cache_nothing_is_kept_and_own_writes_still_count() {
    let cache = CacheSettings {
        on: false,
        ..CacheSettings::default()
    };
    let service = Service::with_cache(&["ada"], cache).await;
    service.deposit("d", "ada", "100").await;
    let path = format!("{ADA}/balance");
    for _ in 0..2 {
        assert_eq!(service.get(&path).await.body["source"], "store");
    }
    let events = history(&service, "wallet_account#user-ada").await;
    service.project(&events).await;
    for _ in 0..2 {
        assert_eq!(service.get(&path).await.body["source"], "read_model");
    }
    service.deposit("d2", "ada", "1").await;
    assert_eq!(service.get(&path).await.body["available"], 101);
}

#[tokio::test]
async fn an_account_without_the_row_of_its_first_movement_is_read_from_the_store() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.deposit("d", "ada", "100").await;
    let escrow = hold(&service, "h", "40").await;
    let settle = json!({ "model_id": "bo" });
    service.post(&end(&escrow, "settle"), "s", &settle).await;
    hold(&service, "h2", "7").await;
    // Another instance has written nothing, so it would trust any rows.
    let cache = CacheSettings {
        on: false,
        ..CacheSettings::default()
    };
    let other = service.other_instance(cache);
    let read = async || {
        let answer = other.get(&format!("{ADA}/balance")).await;
        json!([
            answer.body["source"],
            answer.body["available"],
            answer.body["escrow"]
        ])
    };
    let events = history(&service, "wallet_account#user-ada").await;
    let of = |state: &str| -> Vec<Envelope> {
        let found = events
            .iter()
            .filter(|event| payload(event)["balance_state"] == state);
        found.cloned().collect()
    };
    service.project(&of("escrow")).await;
    assert_eq!(read().await, json!(["store", 53, 7]));
    service.project(&of("available")).await;
    assert_eq!(read().await, json!(["read_model", 53, 7]));

    // A user who never held anything has one row, and so has a model.
    service.deposit("d2", "bo", "3").await;
    for account in ["user", "model"] {
        let account_events = history(&service, &format!("wallet_account#{account}-bo")).await;
        service.project(&account_events).await;
        let path = format!("/api/v1/wallets/bo/balance?account_type={account}");
        assert_eq!(other.get(&path).await.body["source"], "read_model");
    }
}

#[tokio::test]
async fn what_was_written_although_its_answer_was_lost_is_not_read_from_older_rows() {
    let cache = CacheSettings {
        on: false,
        ..CacheSettings::default()
    };
    let service = Service::with_cache(&["ada"], cache).await;
    let read = async || {
        let answer = service.get(&format!("{ADA}/balance")).await;
        json!([answer.body["source"], answer.body["available"]])
    };
    let delivered = async || {
        let events = history(&service, "wallet_account#user-ada").await;
        service.project(&events).await;
    };
    service.deposit("d", "ada", "100").await;
    delivered().await;
    assert_eq!(read().await, json!(["read_model", 100]));

    service.store().lose_answers(true);
    let lost = service.deposit("d2", "ada", "5").await;
    service.store().lose_answers(false);
    assert_eq!((lost.status.as_u16(), lost.problem()), (503, "unavailable"));
    assert_eq!(read().await, json!(["store", 105]));
    delivered().await;
    assert_eq!(read().await, json!(["read_model", 105]));

    // A repeat finds the payment's fact, so it decides on no movement that the rows could lack.
    let again = service.deposit("d2", "ada", "5").await;
    assert_eq!(again.header("idempotency-replayed"), "true");
    assert_eq!(read().await, json!(["read_model", 105]));
    service.deposit("d3", "ada", "1").await;
    delivered().await;
    assert_eq!(read().await, json!(["read_model", 106]));

    // A refused command wrote nothing, so reads are not affected.
    let path = format!("{ADA}/withdrawals");
    let refused = service.post(&path, "w", &payment_body("w", 1000)).await;
    assert_eq!(refused.problem(), "insufficient-funds");
    assert_eq!(read().await, json!(["read_model", 106]));
}

#[tokio::test]
async fn an_instance_that_cannot_remember_all_it_wrote_reads_the_store() {
    let cache = CacheSettings {
        size: 1,
        ..CacheSettings::default()
    };
    let service = Service::with_cache(&["ada", "bo"], cache).await;
    service.deposit("d", "ada", "1").await;
    service.deposit("d2", "bo", "2").await;
    service
        .project(&history(&service, "wallet_account#user-bo").await)
        .await;
    service.deposit("d3", "bo", "3").await;
    let read = service.get("/api/v1/wallets/bo/balance").await;
    assert_eq!(
        json!([read.body["source"], read.body["available"]]),
        json!(["store", 5])
    );
}

#[tokio::test]
async fn scopes_follow_from_the_first_path_segment() {
    let mut service = Service::with_members(&["ada"]).await;
    service.deposit("d", "ada", "10").await;
    let escrow = hold(&service, "h", "5").await;
    for (scope, path, allowed) in [
        ("wallets:read", format!("{ADA}/balance"), true),
        ("escrows:read", format!("{ADA}/balance"), false),
        ("escrows:read", format!("/api/v1/escrows/{escrow}"), true),
        ("wallets:read", format!("/api/v1/escrows/{escrow}"), false),
    ] {
        service.use_key(&[scope]).await;
        let status = service.get(&path).await.status.as_u16();
        assert_eq!(status, if allowed { 200 } else { 403 }, "{scope} {path}");
    }
    service.use_key(&["wallets:write"]).await;
    let refund = service.post(&end(&escrow, "refund"), "r", &json!({})).await;
    assert_eq!(refund.problem(), "missing-scope");
}

#[test]
fn escrows_and_accounts_stand_where_the_crate_says() {
    let id: EscrowId = "00000000-0000-7000-8000-000000000001".parse().unwrap();
    let key = <wallet::Escrow as outbox::State>::key(&wallet_table(), &id.to_string());
    assert_eq!(key.pk, format!("escrow#{id}"));
}
