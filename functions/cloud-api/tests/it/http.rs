//! Tests the cloud endpoints as callers see them, over the in-memory store.

use crate::service::{Service, seeded_credits};
use events::Envelope;
use http::Method;
use serde_json::{Value, json};

const MINTS: &str = "/api/v1/cloud/mints";
const TRANSFERS: &str = "/api/v1/cloud/transfers";
const BURNS: &str = "/api/v1/cloud/burns";
const RESERVE: &str = "/api/v1/cloud/treasury/accounts/1110";

pub(crate) async fn history(service: &Service, aggregate: &str) -> Vec<Envelope> {
    service.history(aggregate).await
}

pub(crate) fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

pub(crate) async fn balance(service: &Service, member: &str) -> Value {
    let answer = service
        .get(&format!("/api/v1/cloud/balances/{member}"))
        .await;
    assert_eq!(answer.status, 200);
    answer.body["balance"].clone()
}

pub(crate) async fn statement(service: &Service, member: &str) -> Vec<Value> {
    let path = format!("/api/v1/cloud/members/{member}/transactions?limit=100");
    let answer = service.get(&path).await;
    assert_eq!(answer.status, 200);
    answer.body["items"].as_array().unwrap().clone()
}

#[tokio::test]
async fn a_mint_answers_with_its_ids_and_logs_account_event_and_statement_together() {
    let service = Service::with_members(&["ada"]).await;
    let correlation = "11111111-2222-4333-8444-555555555555";
    let body = json!({
        "member_id": "ada", "amount": 12.5, "stripe_charge_id": "ch_1", "stripe_payment_intent_id": "pi_1",
        "description": "first"
    });
    let request = service
        .request(Method::POST, MINTS)
        .header("idempotency-key", "k1")
        .header("x-correlation-id", correlation);
    let answer = service.send(request, &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["balance_after"], 12.5);
    assert_eq!(answer.body.as_object().unwrap().len(), 3);

    let events = history(&service, "cloud_account#ada").await;
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    assert_eq!(event.event_id.to_string(), answer.body["event_id"]);
    assert_eq!(event.event_type.as_str(), "cloud.minted");
    assert_eq!(event.sequence.number(), 1);
    assert_eq!(event.correlation_id.to_string(), correlation);
    assert_eq!(event.priority.as_str(), "high");
    assert_eq!(
        event.idempotency_key.as_ref().unwrap().as_str(),
        "stripe/ch_1"
    );
    assert_eq!(
        payload(event),
        json!({
            "transaction_id": answer.body["transaction_id"], "member_id": "ada", "member_name": "Name of ada",
            "amount": 12.5, "amount_usd": 125, "balance_after": 12.5, "stripe_charge_id": "ch_1",
            "stripe_payment_intent_id": "pi_1", "description": "first", "version": 1
        })
    );

    let lines = statement(&service, "ada").await;
    let [line] = lines.as_slice() else {
        panic!("one line")
    };
    assert_eq!(line["transaction_id"], answer.body["transaction_id"]);
    assert_eq!(line["event_id"], answer.body["event_id"]);
    assert_eq!(line["kind"], "minted");
    assert_eq!(line["balance_after"], 12.5);
    let read = service.get("/api/v1/cloud/balances/ada").await;
    assert_eq!(
        read.body,
        json!({ "member_id": "ada", "balance": 12.5, "balance_usd": 125, "staked_balance": 0 })
    );
}

#[tokio::test]
async fn a_transfer_moves_credits_and_is_told_once_with_both_versions() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m1", "ada", "10").await;
    service.mint("m2", "ada", "5").await;
    let body = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": "4.000001", "description": "thanks" });
    let answer = service.post(TRANSFERS, "t1", &body).await;
    assert_eq!(answer.status, 201);
    assert_eq!(answer.body["from_balance_after"], 10.999_999);
    assert_eq!(answer.body["to_balance_after"], 4.000_001);
    assert_eq!(answer.body.as_object().unwrap().len(), 4);

    let events = history(&service, "cloud_account#ada").await;
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence.number()).collect();
    assert_eq!(numbers, [1, 2, 3]);
    let recorded = payload(&events[2]);
    assert_eq!(events[2].event_type.as_str(), "cloud.transferred");
    assert_eq!(
        (&recorded["from_version"], &recorded["to_version"]),
        (&json!(3), &json!(1))
    );
    assert_eq!(recorded["to_member_name"], "Name of bo");
    assert!(history(&service, "cloud_account#bo").await.is_empty());

    let given = &statement(&service, "ada").await[0];
    assert_eq!(
        (&given["kind"], &given["counterparty"]),
        (&json!("transferred_out"), &json!("bo"))
    );
    let got = &statement(&service, "bo").await[0];
    assert_eq!(
        (&got["kind"], &got["counterparty"]),
        (&json!("transferred_in"), &json!("ada"))
    );
    assert_eq!(given["transaction_id"], got["transaction_id"]);

    // The receiver's own event numbering continues from where its account was.
    let minted = service.mint("m3", "bo", "1").await;
    assert_eq!(minted.body["balance_after"], 5.000_001);
    let events = history(&service, "cloud_account#bo").await;
    assert_eq!(
        (events[0].sequence.number(), &payload(&events[0])["version"]),
        (1, &json!(2))
    );
}

#[tokio::test]
async fn a_burn_says_why_and_lowers_the_balance() {
    let service = Service::with_members(&["ada"]).await;
    service.mint("m", "ada", "3").await;
    let body = json!({ "member_id": "ada", "amount": 1, "reason": "refund" });
    let answer = service.post(BURNS, "b", &body).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["balance_after"]),
        (201, &json!(2))
    );
    assert_eq!(answer.body.as_object().unwrap().len(), 3);
    let events = history(&service, "cloud_account#ada").await;
    assert_eq!(payload(&events[1])["reason"], "refund");
    let lines = statement(&service, "ada").await;
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["burned", "minted"], "newest first");
    assert_eq!(lines[0]["reason"], "refund");
}

#[tokio::test]
async fn credits_of_nobody_are_only_filled_and_emptied_without_a_member() {
    let service = Service::with_members(&[]).await;
    let empty = service
        .post(BURNS, "b0", &json!({ "amount": 1, "reason": "r" }))
        .await;
    assert_eq!(
        (empty.status.as_u16(), empty.problem()),
        (409, "insufficient-balance")
    );
    assert_eq!(
        service
            .post(MINTS, "m", &json!({ "amount": 5 }))
            .await
            .status,
        201
    );
    let burned = service
        .post(BURNS, "b1", &json!({ "amount": 2, "reason": "r" }))
        .await;
    assert_eq!(burned.body["balance_after"], 3);
    assert_eq!(balance(&service, "unallocated").await, 3);
    assert_eq!(statement(&service, "unallocated").await.len(), 2);
    let events = history(&service, "cloud_account#unallocated").await;
    assert_eq!(events.len(), 2);
    assert!(payload(&events[0]).get("member_id").is_none());
    let named = service
        .post(
            MINTS,
            "m2",
            &json!({ "member_id": "unallocated", "amount": 5 }),
        )
        .await;
    assert_eq!(named.status, 422, "its id is no member's");
}

#[tokio::test]
async fn a_duplicate_call_gets_the_first_answer_even_after_the_balance_was_spent() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m", "ada", "10").await;
    let transfer = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": 6 });
    let first = service.post(TRANSFERS, "t", &transfer).await;
    assert_eq!(first.status, 201);
    let burn = json!({ "member_id": "ada", "amount": 4, "reason": "spent" });
    let burned = service.post(BURNS, "b", &burn).await;
    assert_eq!(burned.body["balance_after"], 0);

    for (path, key, body, answer) in [
        (TRANSFERS, "t", &transfer, &first),
        (BURNS, "b", &burn, &burned),
    ] {
        let again = service.post(path, key, body).await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
        assert_eq!(again.header("idempotency-replayed"), "true");
    }
    assert_eq!(balance(&service, "ada").await, 0);
    assert_eq!(balance(&service, "bo").await, 6);
    assert_eq!(history(&service, "cloud_account#ada").await.len(), 3);

    let other = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": 7 });
    let reused = service.post(TRANSFERS, "t", &other).await;
    assert_eq!(
        (reused.status.as_u16(), reused.problem()),
        (422, "idempotency-key-reused")
    );
}

#[tokio::test]
async fn a_stripe_charge_mints_once_for_whomever_and_under_whatever_key() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let body =
        |member: &str| json!({ "member_id": member, "amount": 1, "stripe_charge_id": "ch_7" });
    let first = service.post(MINTS, "k1", &body("ada")).await;
    assert_eq!(first.status, 201);
    for (key, member) in [("k2", "ada"), ("k3", "bo")] {
        let again = service.post(MINTS, key, &body(member)).await;
        assert_eq!(
            (again.status.as_u16(), again.problem()),
            (409, "charge-already-minted")
        );
        assert_eq!(again.body["transaction_id"], first.body["transaction_id"]);
    }
    let repeat = service.post(MINTS, "k1", &body("ada")).await;
    assert_eq!((repeat.status.as_u16(), &repeat.body), (201, &first.body));
    assert_eq!(balance(&service, "ada").await, 1);
    assert_eq!(balance(&service, "bo").await, 0);
}

#[tokio::test]
async fn a_payment_intent_mints_once_with_or_without_its_charge() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let body = |member: &str, charge: Option<&str>, intent: Option<&str>| {
        let mut body = json!({ "member_id": member, "amount": 1 });
        for (field, id) in [
            ("stripe_charge_id", charge),
            ("stripe_payment_intent_id", intent),
        ] {
            if let Some(id) = id {
                body[field] = id.into();
            }
        }
        body
    };
    // The intent alone, then with its charge; then both, and the intent alone.
    let (ch_2, pi_2) = (Some("ch_2"), Some("pi_2"));
    for (first, seconds) in [
        (
            (None, Some("pi_1")),
            vec![(None, Some("pi_1")), (Some("ch_1"), Some("pi_1"))],
        ),
        ((ch_2, pi_2), vec![(None, pi_2), (Some("ch_3"), pi_2)]),
    ] {
        let key = format!("{first:?}");
        let key = key.replace(' ', "");
        let booked = service
            .post(MINTS, &key, &body("ada", first.0, first.1))
            .await;
        assert_eq!(booked.status, 201);
        for (number, second) in seconds.into_iter().enumerate() {
            let other = format!("{key}/{number}");
            let again = service
                .post(MINTS, &other, &body("bo", second.0, second.1))
                .await;
            assert_eq!(
                (again.status.as_u16(), again.problem()),
                (409, "payment-intent-already-minted")
            );
            assert_eq!(again.pointers(), ["/stripe_payment_intent_id"]);
            assert_eq!(again.body["transaction_id"], booked.body["transaction_id"]);
        }
    }
    // A charge that was refused for its intent is not recorded.
    let charge = body("bo", Some("ch_3"), None);
    assert_eq!(service.post(MINTS, "other", &charge).await.status, 201);
    // One id under both names is one fact.
    let one = Some("py_9");
    let same = service.post(MINTS, "same", &body("bo", one, one)).await;
    assert_eq!(same.status, 201);
    let keys: Vec<String> = history(&service, "cloud_account#ada")
        .await
        .iter()
        .filter_map(|event| Some(event.idempotency_key.as_ref()?.to_string()))
        .collect();
    assert_eq!(keys, ["stripe/pi_1", "stripe/ch_2"]);
}

#[tokio::test]
async fn unknown_members_are_named_and_nothing_is_written() {
    let service = Service::with_members(&["ada"]).await;
    service.mint("m", "ada", "1").await;
    let transfer =
        |from: &str, to: &str| json!({ "from_member_id": from, "to_member_id": to, "amount": 1 });
    for (path, body) in [
        (MINTS, json!({ "member_id": "ghost", "amount": 1 })),
        (
            BURNS,
            json!({ "member_id": "ghost", "amount": 1, "reason": "r" }),
        ),
        (TRANSFERS, transfer("ghost", "ada")),
        (TRANSFERS, transfer("ada", "ghost")),
    ] {
        let answer = service.post(path, "k", &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (404, "not-found"),
            "{path}"
        );
        assert_eq!(answer.body["member_id"], "ghost");
    }
    for path in [
        "/api/v1/cloud/balances/ghost",
        "/api/v1/cloud/members/ghost/transactions",
    ] {
        assert_eq!(service.get(path).await.status, 404, "{path}");
    }
    assert_eq!(balance(&service, "ada").await, 1);
    assert!(history(&service, "cloud_account#ghost").await.is_empty());
}

#[tokio::test]
async fn what_the_rules_forbid_says_why() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m", "ada", "1.5").await;
    let transfer = |to: &str, amount: Value| json!({ "from_member_id": "ada", "to_member_id": to, "amount": amount });
    let short = service
        .post(TRANSFERS, "k", &transfer("bo", json!(1.500_001)))
        .await;
    assert_eq!(
        (short.status.as_u16(), short.problem()),
        (409, "insufficient-balance")
    );
    assert_eq!(
        (&short.body["available"], &short.body["needed"]),
        (&json!(1.5), &json!(1.500_001))
    );
    let oneself = service
        .post(TRANSFERS, "k", &transfer("ada", json!(1)))
        .await;
    assert_eq!(
        (oneself.status.as_u16(), oneself.problem()),
        (422, "transfer-to-oneself")
    );
    assert_eq!(oneself.pointers(), ["/to_member_id"]);
    let full = service.mint("k", "ada", "999999999.999999").await;
    assert_eq!(
        (full.status.as_u16(), full.problem()),
        (409, "balance-too-large")
    );
    assert_eq!(balance(&service, "ada").await, 1.5);
}

#[tokio::test]
async fn a_body_that_is_not_allowed_is_refused_with_every_violation() {
    let service = Service::with_members(&["ada"]).await;
    for amount in [
        json!(0),
        json!(-1),
        json!("0"),
        json!("1e3"),
        json!(0.000_000_1),
        json!(null),
        json!(1e9),
    ] {
        let answer = service
            .post(MINTS, "k", &json!({ "member_id": "ada", "amount": amount }))
            .await;
        assert_eq!(answer.status, 422, "{amount}");
        assert_eq!(answer.pointers(), ["/amount"], "{amount}");
    }
    let body = json!({ "member_id": "a#b", "amout": 1, "stripe_charge_id": "c d" });
    let answer = service.post(MINTS, "k", &body).await;
    assert_eq!(answer.status, 422);
    let pointers = answer.pointers();
    for pointer in ["/member_id", "/stripe_charge_id"] {
        assert!(pointers.contains(&pointer), "{pointers:?}");
    }
    assert!(
        answer.body.to_string().contains("amout"),
        "unknown fields are named"
    );
    assert!(pointers.len() >= 4, "the missing amount too: {pointers:?}");
    let burn = service.post(BURNS, "k", &json!({ "amount": 1 })).await;
    assert_eq!(burn.status, 422, "a burn has a reason");
    let broken = service
        .request(Method::POST, MINTS)
        .header("idempotency-key", "k");
    assert_eq!(service.send_text(broken, "{").await.status, 400);
    let keyless = service.request(Method::POST, MINTS);
    let keyless = service.send(keyless, &json!({ "amount": 1 })).await;
    assert_eq!(
        (keyless.status.as_u16(), keyless.problem()),
        (400, "idempotency-key-required")
    );
}

#[tokio::test]
async fn amounts_may_be_numbers_or_digits() {
    let service = Service::with_members(&["ada"]).await;
    for (key, amount) in [
        ("a", json!(0.000_001)),
        ("b", json!("0.000001")),
        ("c", json!("2.50")),
        ("d", json!(2)),
    ] {
        let answer = service
            .post(MINTS, key, &json!({ "member_id": "ada", "amount": amount }))
            .await;
        assert_eq!(answer.status, 201, "{amount}");
    }
    assert_eq!(balance(&service, "ada").await, 4.500_002);
}

#[tokio::test]
async fn a_member_without_an_account_has_nothing() {
    let service = Service::with_members(&["ada"]).await;
    let answer = service.get("/api/v1/cloud/balances/ada").await;
    assert_eq!(
        answer.body,
        json!({ "member_id": "ada", "balance": 0, "balance_usd": 0, "staked_balance": 0 })
    );
    let lines = service.get("/api/v1/cloud/members/ada/transactions").await;
    assert_eq!(lines.body, json!({ "items": [], "next_cursor": null }));
}

#[tokio::test]
async fn a_statement_comes_newest_first_page_by_page_and_whole() {
    let service = Service::with_members(&["ada", "ada2"]).await;
    for number in 1..=12 {
        service
            .mint(&format!("m{number}"), "ada", &number.to_string())
            .await;
    }
    service.mint("other", "ada2", "100").await;
    let mut amounts = Vec::new();
    let mut path = "/api/v1/cloud/members/ada/transactions?limit=5".to_owned();
    let mut pages = 0;
    loop {
        let page = service.get(&path).await;
        assert_eq!(page.status, 200);
        pages += 1;
        amounts.extend(
            page.body["items"]
                .as_array()
                .unwrap()
                .iter()
                .map(|line| line["amount"].as_u64().unwrap()),
        );
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("/api/v1/cloud/members/ada/transactions?limit=5&cursor={cursor}");
        let elsewhere = service
            .get(&format!(
                "/api/v1/cloud/members/ada2/transactions?cursor={cursor}"
            ))
            .await;
        assert_eq!(
            elsewhere.status, 400,
            "a cursor is good for its own list only"
        );
    }
    assert_eq!(amounts, (1..=12).rev().collect::<Vec<u64>>());
    assert!(pages >= 3);
}

#[tokio::test]
async fn a_treasury_balance_is_told_when_it_is_another_one() {
    let service = Service::with_members(&[]).await;
    let first = service
        .put(RESERVE, "k1", &json!({ "balance": "1000.50" }))
        .await;
    assert_eq!(first.status, 200);
    assert_eq!(
        first.body,
        json!({ "account_id": "1110", "balance": 1000.5, "version": 1 })
    );
    let same = service
        .put(RESERVE, "k2", &json!({ "balance": 1000.5 }))
        .await;
    assert_eq!((same.status.as_u16(), &same.body), (200, &first.body));
    let second = service.put(RESERVE, "k3", &json!({ "balance": 0 })).await;
    assert_eq!(second.body["version"], 2);
    let again = service
        .put(RESERVE, "k1", &json!({ "balance": "1000.50" }))
        .await;
    assert_eq!(again.body, first.body, "the first answer");
    assert_eq!(again.header("idempotency-replayed"), "true");
    let events = history(&service, "treasury_account#1110").await;
    let recorded: Vec<Value> = events.iter().map(payload).collect();
    assert_eq!(
        recorded,
        [
            json!({ "account_id": "1110", "balance": 1000.5, "version": 1 }),
            json!({ "account_id": "1110", "balance": 0, "version": 2 })
        ]
    );
    for balance in [json!(-1), json!(0.001), json!("1,5")] {
        let answer = service
            .put(RESERVE, "k", &json!({ "balance": balance }))
            .await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (422, vec!["/balance"]),
            "{balance}"
        );
    }
    let path = "/api/v1/cloud/treasury/accounts/a%23b";
    assert_eq!(
        service
            .put(path, "k", &json!({ "balance": 1 }))
            .await
            .status,
        400
    );
}

#[tokio::test]
async fn the_treasury_states_what_is_outstanding_and_what_backs_it() {
    let service = Service::with_members(&[]).await;
    let empty = service.get("/api/v1/cloud/treasury").await;
    assert_eq!(
        empty.body,
        json!({ "outstanding": 0, "outstanding_usd": 0, "reserve_usd": 0, "backing_percent": null })
    );
    service.put(RESERVE, "k", &json!({ "balance": 1000 })).await;
    seeded_credits(&service, &["100", "-7.5", "27.5"]).await;
    let treasury = service.get("/api/v1/cloud/treasury").await;
    assert_eq!(
        treasury.body,
        json!({ "outstanding": 120, "outstanding_usd": 1200, "reserve_usd": 1000, "backing_percent": 83.33 })
    );
}

#[tokio::test]
async fn of_two_commands_at_once_for_the_same_credits_one_is_refused() {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m", "ada", "10").await;
    let burn = json!({ "member_id": "ada", "amount": 10, "reason": "r" });
    let transfer = json!({ "from_member_id": "ada", "to_member_id": "bo", "amount": 10 });
    let before = service.store().cancelled();
    let (burned, moved) = tokio::join!(
        service.post(BURNS, "b", &burn),
        service.post(TRANSFERS, "t", &transfer)
    );
    let mut statuses = [burned.status.as_u16(), moved.status.as_u16()];
    statuses.sort_unstable();
    assert_eq!(statuses, [201, 409]);
    assert!(service.store().cancelled() > before, "they did meet");
    assert_eq!(balance(&service, "ada").await, 0);
}

#[tokio::test]
async fn many_commands_at_once_all_count_and_are_numbered_without_gaps() {
    let service = Service::with_members(&["ada"]).await;
    let before = service.store().cancelled();
    let (a, b, c, d) = tokio::join!(
        service.mint("a", "ada", "1"),
        service.mint("b", "ada", "2"),
        service.mint("c", "ada", "4"),
        // The same command is sent twice at the same time.
        service.mint("a", "ada", "1"),
    );
    assert!([&a, &b, &c, &d].iter().all(|answer| answer.status == 201));
    assert_eq!(a.body, d.body, "one of them was done, both got its answer");
    assert!(service.store().cancelled() > before, "they did meet");
    assert_eq!(balance(&service, "ada").await, 7);
    let events = history(&service, "cloud_account#ada").await;
    let numbers: Vec<u64> = events.iter().map(|event| event.sequence.number()).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn the_same_charge_at_once_for_two_members_mints_once() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let body =
        |member: &str| json!({ "member_id": member, "amount": 1, "stripe_charge_id": "ch_1" });
    let (ada, bo) = (body("ada"), body("bo"));
    let (one, two) = tokio::join!(
        service.post(MINTS, "a", &ada),
        service.post(MINTS, "b", &bo)
    );
    let (won, lost) = if one.status == 201 {
        (one, two)
    } else {
        (two, one)
    };
    assert_eq!((won.status.as_u16(), lost.status.as_u16()), (201, 409));
    assert_eq!(lost.body["transaction_id"], won.body["transaction_id"]);
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let mut service = Service::with_members(&["ada"]).await;
    service.use_key(&["cloud:read"]).await;
    assert_eq!(service.get("/api/v1/cloud/balances/ada").await.status, 200);
    assert_eq!(service.mint("m", "ada", "1").await.status, 403);
    service.use_key(&["cloud:write"]).await;
    assert_eq!(service.mint("m", "ada", "1").await.status, 201);
    assert_eq!(service.get("/api/v1/cloud/treasury").await.status, 403);
}

#[test]
fn every_endpoint_stands_in_the_document() {
    let document = cloud_api::router::openapi();
    let paths = document["paths"].as_object().unwrap();
    for path in [
        MINTS,
        TRANSFERS,
        BURNS,
        "/api/v1/cloud/balances/{member_id}",
        "/api/v1/cloud/members/{member_id}/transactions",
        "/api/v1/cloud/treasury",
        "/api/v1/cloud/treasury/accounts/{account_id}",
        "/api/v1/cloud/redemptions",
        "/api/v1/cloud/stakes",
        "/api/v1/cloud/stakes/{position_id}/unstake",
        "/api/v1/cloud/rate-cards",
        "/api/v1/cloud/rate-cards/{version}",
        "/api/v1/cloud/rate-cards/{version}/approve",
    ] {
        assert!(paths.contains_key(path), "{path}");
    }
    assert_eq!(paths.len(), 13);
}
