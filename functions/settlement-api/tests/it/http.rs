//! Tests the endpoints of payments and settlements as callers see them, over the in-memory store.

use crate::service::{Answer, PAYMENTS, SETTLEMENTS, Service, network, payload, settlement_of};
use http::Method;
use serde_json::{Value, json};

const NOBODY: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

#[tokio::test]
async fn a_payment_is_authorized_captured_and_given_back() {
    let service = Service::start().await;
    let body = json!({ "amount": 12.5, "currency": "USD" });
    let made = service.post(PAYMENTS, "k", &body).await;
    assert_eq!(made.status, 201);
    let id = made.id("payment_id");
    assert_eq!(made.body, json!({ "payment_id": id, "status": "created" }));
    let path = format!("{PAYMENTS}/{id}");
    for (step, status) in [("authorize", "authorized"), ("capture", "captured")] {
        let done = service
            .post(&format!("{path}/{step}"), "k", &Value::Null)
            .await;
        assert_eq!(done.body, json!({ "payment_id": id, "status": status }));
    }
    let refunds = format!("{path}/refunds");
    let first = service
        .post(&refunds, "r1", &json!({ "amount": "2.50" }))
        .await;
    assert_eq!(first.status, 201);
    assert_eq!(
        first.body,
        json!({ "payment_id": id, "status": "partially_refunded", "refund_amount": 2.5, "refunded_total": 2.5 })
    );
    let last = service.post(&refunds, "r2", &json!({ "amount": 10 })).await;
    assert_eq!(
        (&last.body["status"], &last.body["refunded_total"]),
        (&json!("refunded"), &json!(12.5))
    );

    let read = service.get(&path).await;
    assert_eq!(
        (&read.body["status"], &read.body["version"]),
        (&json!("refunded"), &json!(5))
    );
    assert_eq!(
        (&read.body["amount"], &read.body["refunds"]),
        (&json!(12.5), &json!(2))
    );
    let events = service.history(&path).await;
    let types: Vec<&str> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    let changed = "payment.status_changed";
    assert_eq!(
        types,
        [
            "payment.created",
            changed,
            changed,
            "payment.refunded",
            changed,
            "payment.refunded",
            changed
        ]
    );
    assert!(
        events
            .iter()
            .all(|event| event.priority.as_str() == "critical")
    );
    assert_eq!(
        payload(&events[0]),
        json!({ "payment_id": id, "amount": 12.5, "currency": "USD", "version": 1 })
    );
    assert_eq!(
        payload(&events[6]),
        json!({
            "payment_id": id, "from_status": "partially_refunded", "to_status": "refunded", "amount": 12.5,
            "currency": "USD", "version": 5,
        })
    );
    let facts: Vec<String> = events
        .iter()
        .map(|event| event.idempotency_key.as_ref().unwrap().to_string())
        .collect();
    assert_eq!(
        facts[3..6],
        ["refund/1", "partially_refunded", "refund/2"].map(|fact| format!("payment/{id}/{fact}"))
    );
}

#[tokio::test]
async fn a_payment_fails_with_its_reason_or_is_called_off() {
    let service = Service::start().await;
    let failed = service.payment("a", "1").await;
    let fail = service
        .post(
            &format!("{failed}/fail"),
            "k",
            &json!({ "error": "card expired" }),
        )
        .await;
    assert_eq!(
        (fail.status.as_u16(), &fail.body["status"]),
        (200, &json!("failed"))
    );
    assert_eq!(service.get(&failed).await.body["error"], "card expired");
    assert_eq!(
        payload(&service.history(&failed).await[1])["error"],
        "card expired"
    );
    let cancelled = service.payment("b", "1").await;
    let cancel = service
        .post(&format!("{cancelled}/cancel"), "k", &json!({}))
        .await;
    assert_eq!(cancel.body["status"], "cancelled");
}

/// Returns the refusal of a step, after checking that it published no event.
async fn refused(service: &Service, path: &str, step: &str, body: &Value) -> Answer {
    let before = (service.types(path).await, service.get(path).await);
    let answer = service
        .post(&format!("{path}/{step}"), "refused", body)
        .await;
    assert_eq!(
        (service.types(path).await, service.get(path).await),
        before,
        "{step}"
    );
    answer
}

#[tokio::test]
async fn what_a_payments_status_does_not_allow_is_refused_with_from_to_and_what_is() {
    let service = Service::start().await;
    let path = service.payment("k", "1").await;
    let early = refused(&service, &path, "capture", &Value::Null).await;
    assert_eq!(early.refusal(), (409, "illegal-transition"));
    assert_eq!(
        (&early.body["from"], &early.body["to"]),
        (&json!("created"), &json!("captured"))
    );
    assert_eq!(
        early.body["allowed"],
        json!(["authorized", "failed", "cancelled"])
    );
    let refund = refused(&service, &path, "refunds", &json!({ "amount": 1 })).await;
    assert_eq!(refund.refusal(), (409, "illegal-transition"));
    assert_eq!(refund.body["to"], "refunded");

    let path = service.captured("c", "10").await;
    for (step, body) in [
        ("cancel", Value::Null),
        ("fail", json!({ "error": "e" })),
        ("authorize", Value::Null),
    ] {
        let late = refused(&service, &path, step, &body).await;
        assert_eq!(late.refusal(), (409, "illegal-transition"), "{step}");
        assert_eq!(late.body["from"], "captured");
    }
    service
        .post(&format!("{path}/refunds"), "r", &json!({ "amount": 4 }))
        .await;
    let more = refused(&service, &path, "refunds", &json!({ "amount": 6.01 })).await;
    assert_eq!(more.refusal(), (422, "refund-too-large"));
    assert_eq!(
        (&more.body["refundable"], &more.body["requested"]),
        (&json!(6), &json!(6.01))
    );
    assert_eq!(more.pointers(), ["/amount"]);
}

#[tokio::test]
async fn copies_of_a_refund_at_the_same_time_give_back_no_more_than_there_was() {
    let service = Service::start().await;
    let path = service.captured("c", "10").await;
    let refunds = format!("{path}/refunds");
    let body = json!({ "amount": 3 });
    let keys: Vec<String> = (0..5).map(|number| format!("r{number}")).collect();
    let asked = keys.iter().map(|key| service.post(&refunds, key, &body));
    let answers = futures::future::join_all(asked).await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(done, 3, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.refusal(), (422, "refund-too-large"));
    }
    assert_eq!(service.get(&path).await.body["refunded"], 9);
}

#[tokio::test]
async fn a_settlement_is_told_from_its_network_to_its_end() {
    let service = Service::start().await;
    let payment = service.captured("p", "100").await;
    let made = service
        .post(SETTLEMENTS, "s", &settlement_of(&payment, "99.99"))
        .await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.id("settlement_id");
    assert_eq!(
        made.body,
        json!({ "settlement_id": id, "status": "network_selected", "network": "polygon", "required_confirmations": 30 })
    );
    let path = format!("{SETTLEMENTS}/{id}");
    let step = async |step: &str, body: Value| {
        let done = service
            .post(
                &format!("{path}/{step}"),
                &body.to_string().replace(' ', ""),
                &body,
            )
            .await;
        assert_eq!(done.status, 200, "{step}: {done:?}");
        done.body
    };
    let submitted = step("submit", json!({ "tx_hash": "0xabc" })).await;
    assert_eq!(
        submitted,
        json!({ "settlement_id": id, "status": "submitted" })
    );
    let confirming = step("confirmations", json!({ "confirmations": 15 })).await;
    assert_eq!(
        confirming,
        json!({ "settlement_id": id, "status": "confirming", "confirmations": 15, "required_confirmations": 30 })
    );
    assert_eq!(
        step("confirmations", json!({ "confirmations": 30 })).await["status"],
        "confirmed"
    );
    let settled = step("settle", json!({ "gas_actual": "0.000019" })).await;
    assert_eq!(settled, json!({ "settlement_id": id, "status": "settled" }));

    let events = service.history(&path).await;
    let recorded: Vec<(&str, u64, Value)> = events
        .iter()
        .map(|event| {
            let payload = payload(event);
            (
                event.event_type.as_str(),
                payload["version"].as_u64().unwrap(),
                payload["transition"].clone(),
            )
        })
        .collect();
    let changed = "settlement.status_changed";
    let progress = "settlement.confirmation_progress";
    assert_eq!(
        recorded,
        [
            ("settlement.created", 1, json!(1)),
            ("settlement.network_selected", 1, json!(2)),
            ("settlement.gas_estimated", 1, Value::Null),
            (changed, 2, json!(3)),
            (progress, 3, Value::Null),
            (changed, 3, json!(4)),
            (progress, 4, Value::Null),
            (changed, 4, json!(5)),
            (changed, 5, json!(6)),
            ("settlement.settled", 5, Value::Null),
        ]
    );
    for event in &events {
        let quiet = [progress, "settlement.gas_estimated"].contains(&event.event_type.as_str());
        assert_eq!(
            event.priority.as_str(),
            if quiet { "normal" } else { "high" }
        );
        let payload = payload(event);
        let after = payload
            .get("from_status")
            .is_none_or(|from| from != "network_selected");
        assert!(after || payload["confirmations"] == 0, "{payload}");
    }
    assert!(payload(&events[0]).get("network").is_none());
    assert_eq!(payload(&events[1])["score"], 0.847);
    assert_eq!(
        payload(&events[7]),
        json!({
            "settlement_id": id, "from_status": "confirming", "to_status": "confirmed", "network": "polygon",
            "confirmations": 30, "tx_hash": "0xabc", "transition": 5, "version": 4
        })
    );
    let payment_id = payment.rsplit('/').next().unwrap();
    assert_eq!(
        payload(&events[9]),
        json!({
            "settlement_id": id, "payment_id": payment_id, "amount": 99.99, "currency": "EUR", "network": "polygon",
            "tx_hash": "0xabc", "gas_actual": "0.000019", "version": 5
        })
    );
    // The payment counts the settlement, and nothing that happens to it afterwards changes the payment.
    let counted = service.get(&payment).await.body;
    assert_eq!(
        (&counted["version"], &counted["allocated"]),
        (&json!(4), &json!(99.99))
    );
    assert_eq!(counted["status"], "captured");
    let read = service.get(&path).await;
    assert_eq!(
        (&read.body["status"], &read.body["version"]),
        (&json!("settled"), &json!(5))
    );
    assert_eq!(read.body["gas_estimate"], "0.000021");
    assert!(read.body.get("open_status").is_none() && read.body.get("last_sequence").is_none());
}

#[tokio::test]
async fn only_a_captured_payment_can_be_settled() {
    let service = Service::start().await;
    let created = service.payment("a", "10").await;
    let authorized = service.payment("b", "10").await;
    let cancelled = service.payment("c", "10").await;
    let refunded = service.captured("d", "10").await;
    for (path, step, body) in [
        (&authorized, "authorize", Value::Null),
        (&cancelled, "cancel", Value::Null),
        (&refunded, "refunds", json!({ "amount": 10 })),
    ] {
        service.post(&format!("{path}/{step}"), "s", &body).await;
    }
    for (payment, status) in [
        (created, "created"),
        (authorized, "authorized"),
        (cancelled, "cancelled"),
        (refunded, "refunded"),
    ] {
        let before = (service.get(&payment).await, service.types(&payment).await);
        let body = settlement_of(&payment, "1");
        let refused = service.post(SETTLEMENTS, "k", &body).await;
        assert_eq!(refused.refusal(), (409, "payment-not-captured"));
        let id = payment.rsplit('/').next().unwrap();
        assert_eq!(
            (&refused.body["payment_id"], &refused.body["payment_status"]),
            (&json!(id), &json!(status))
        );
        assert_eq!(refused.pointers(), ["/payment_id"]);
        let after = (service.get(&payment).await, service.types(&payment).await);
        assert_eq!(before, after);
    }
    assert_eq!(service.get(SETTLEMENTS).await.body["items"], json!([]));
}

#[tokio::test]
async fn settlements_and_refunds_of_a_payment_stay_within_what_was_captured() {
    let service = Service::start().await;
    let payment = service.captured("p", "100").await;
    let refunds = format!("{payment}/refunds");
    let settle = async |key: &str, amount: &str| {
        let body = settlement_of(&payment, amount);
        service.post(SETTLEMENTS, key, &body).await
    };
    let refund = async |key: &str, amount: &str| {
        let body = json!({ "amount": amount });
        service.post(&refunds, key, &body).await
    };
    let first = settle("a", "60").await;
    assert_eq!(first.status, 201, "{first:?}");
    assert_eq!(refund("r1", "15").await.status, 201);

    let more = settle("b", "25.01").await;
    assert_eq!(more.refusal(), (422, "settlement-too-large"));
    assert_eq!(more.pointers(), ["/amount"]);
    let numbers = [
        "available",
        "requested",
        "captured",
        "refunded",
        "allocated",
    ];
    assert_eq!(
        numbers.map(|name| more.body[name].as_f64().unwrap().to_string()),
        ["25", "25.01", "100", "15", "60"]
    );

    let undercut = refund("r2", "25.01").await;
    assert_eq!(undercut.refusal(), (409, "refund-of-allocated"));
    assert_eq!(undercut.pointers(), ["/amount"]);
    let numbers = ["available", "requested", "refundable", "allocated"];
    assert_eq!(
        numbers.map(|name| undercut.body[name].as_f64().unwrap().to_string()),
        ["25", "25.01", "85", "60"]
    );
    let never = refund("r2", "85.01").await;
    assert_eq!(never.refusal(), (422, "refund-too-large"));

    // To the last cent; then nothing is left until the first settlement fails.
    assert_eq!(settle("b", "25").await.status, 201);
    assert_eq!(
        refund("r2", "0.01").await.refusal(),
        (409, "refund-of-allocated")
    );
    assert_eq!(
        settle("c", "0.01").await.refusal(),
        (422, "settlement-too-large")
    );
    let path = format!("{SETTLEMENTS}/{}", first.id("settlement_id"));
    let why = json!({ "error": "the network is down" });
    let failed = service.post(&format!("{path}/fail"), "f", &why).await;
    assert_eq!(failed.status, 200, "{failed:?}");
    let again = service.post(&format!("{path}/fail"), "f", &why).await;
    assert!(again.is_replayed());
    let twice = service.post(&format!("{path}/fail"), "g", &why).await;
    assert_eq!(twice.refusal(), (409, "illegal-transition"));
    // The refusals left no mark: the same requests with the same keys now succeed.
    assert_eq!(settle("c", "0.01").await.status, 201);
    assert_eq!(refund("r2", "0.01").await.status, 201);
    let left = service.get(&payment).await.body;
    assert_eq!(
        (&left["allocated"], &left["refunded"], &left["status"]),
        (&json!(25.01), &json!(15.01), &json!("partially_refunded"))
    );

    let id = payment.rsplit('/').next().unwrap();
    let history = service.history(&payment).await;
    let of_settlements: Vec<(&str, Value)> = history
        .iter()
        .filter(|event| {
            ["payment.allocated", "payment.released"].contains(&&*event.event_type.to_string())
        })
        .map(|event| (event.event_type.as_str(), payload(event)))
        .collect();
    assert_eq!(of_settlements.len(), 4);
    assert_eq!(
        of_settlements[2],
        (
            "payment.released",
            json!({
                "payment_id": id, "settlement_id": first.id("settlement_id"), "amount": 60, "allocated_total": 25,
                "currency": "EUR", "version": 7
            })
        )
    );
    let created = payload(&service.history(&path).await[0]);
    assert_eq!(
        (&created["payment_version"], &of_settlements[0].1["version"]),
        (&json!(4), &json!(4))
    );
    let witness = service.get(&format!("{path}/witness")).await;
    assert_eq!(witness.body["agrees"], true, "{witness:?}");
}

#[tokio::test]
async fn of_settlements_at_the_same_time_no_two_count_on_the_same_money() {
    let service = Service::start().await;
    let payment = service.captured("p", "100").await;
    let body = settlement_of(&payment, "30");
    let keys: Vec<String> = (0..6).map(|number| format!("s{number}")).collect();
    let asked = keys.iter().map(|key| service.post(SETTLEMENTS, key, &body));
    let refund = json!({ "amount": 30 });
    let refunds = format!("{payment}/refunds");
    let refund = service.post(&refunds, "r", &refund);
    let (answers, refund) = futures::future::join(futures::future::join_all(asked), refund).await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(done + usize::from(refund.status == 201), 3, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(answer.refusal(), (422, "settlement-too-large"));
    }
    let items = service.get(SETTLEMENTS).await.body["items"].clone();
    assert_eq!(items.as_array().unwrap().len(), done);
    let counted = service.get(&payment).await.body["allocated"].as_f64();
    assert_eq!(counted, Some(30.0 * f64::from(u8::try_from(done).unwrap())));
}

#[tokio::test]
async fn a_settlement_from_before_payments_counted_them_gives_nothing_back() {
    let service = Service::start().await;
    let payment = service.captured("p", "100").await;
    let old = service.settlement("old", &payment).await;
    service.as_from_before(&payment, "allocated").await;
    service.as_from_before(&old, "payment_version").await;
    assert_eq!(service.get(&payment).await.body["allocated"], 0);
    // The payment reads as having nothing allocated, so all of it can be settled.
    let body = settlement_of(&payment, "100");
    assert_eq!(service.post(SETTLEMENTS, "new", &body).await.status, 201);
    let failed = service
        .post(&format!("{old}/fail"), "f", &json!({ "error": "e" }))
        .await;
    assert_eq!(failed.body["status"], "failed", "{failed:?}");
    assert_eq!(service.get(&payment).await.body["allocated"], 100);
    let body = settlement_of(&payment, "0.01");
    let more = service.post(SETTLEMENTS, "more", &body).await;
    assert_eq!(more.refusal(), (422, "settlement-too-large"));
}

#[tokio::test]
async fn a_settlement_in_another_currency_than_its_payment_is_refused() {
    let service = Service::start().await;
    let payment = service.captured("p", "100").await;
    let mut body = settlement_of(&payment, "10");
    body["currency"] = json!("USD");
    let foreign = service.post(SETTLEMENTS, "k", &body).await;
    assert_eq!(
        (foreign.refusal(), foreign.pointers()),
        ((422, "currency-mismatch"), vec!["/currency"])
    );
    assert_eq!(
        (&foreign.body["currency"], &foreign.body["payment_currency"]),
        (&json!("USD"), &json!("EUR"))
    );
    body["currency"] = json!("EUR");
    assert_eq!(service.post(SETTLEMENTS, "k", &body).await.status, 201);
}

#[tokio::test]
async fn one_command_can_bring_all_confirmations_and_the_same_number_changes_nothing() {
    let service = Service::start().await;
    let payment = service.captured("p", "10").await;
    let path = service.submitted("s", &payment).await;
    let confirmations = format!("{path}/confirmations");
    let all = service
        .post(&confirmations, "a", &json!({ "confirmations": 31 }))
        .await;
    assert_eq!(all.body["status"], "confirmed");
    assert_eq!(
        service.types(&path).await[4..],
        [
            "settlement.confirmation_progress",
            "settlement.status_changed",
            "settlement.status_changed"
        ]
    );
    let again = service
        .post(&confirmations, "b", &json!({ "confirmations": 31 }))
        .await;
    assert_eq!(
        (again.status.as_u16(), again.is_replayed(), &again.body),
        (200, false, &all.body)
    );
    assert_eq!(service.types(&path).await.len(), 7);
    assert_eq!(service.get(&path).await.body["version"], 3);
}

#[tokio::test]
async fn what_a_settlements_status_does_not_allow_is_refused_and_tells_nothing() {
    let service = Service::start().await;
    let payment = service.captured("p", "20").await;
    let path = service.settlement("s", &payment).await;
    for (step, body, to) in [
        ("confirmations", json!({ "confirmations": 1 }), "confirming"),
        ("settle", json!({ "gas_actual": "1" }), "settled"),
    ] {
        let early = refused(&service, &path, step, &body).await;
        assert_eq!(early.refusal(), (409, "illegal-transition"));
        assert_eq!(
            (
                &early.body["from"],
                &early.body["to"],
                &early.body["allowed"]
            ),
            (
                &json!("network_selected"),
                &json!(to),
                &json!(["submitted", "failed"])
            )
        );
    }
    let path = service.submitted("t", &payment).await;
    let twice = refused(&service, &path, "submit", &json!({ "tx_hash": "0xdef" })).await;
    assert_eq!(twice.refusal(), (409, "illegal-transition"));
    service
        .post(
            &format!("{path}/confirmations"),
            "c",
            &json!({ "confirmations": 7 }),
        )
        .await;
    let back = refused(
        &service,
        &path,
        "confirmations",
        &json!({ "confirmations": 6 }),
    )
    .await;
    assert_eq!(back.refusal(), (409, "confirmations-went-back"));
    assert_eq!(
        (&back.body["current"], &back.body["stated"]),
        (&json!(7), &json!(6))
    );

    let failed = service
        .post(
            &format!("{path}/fail"),
            "f",
            &json!({ "error": "reorganised" }),
        )
        .await;
    assert_eq!(failed.body["status"], "failed");
    assert_eq!(
        service.types(&path).await[6..],
        ["settlement.status_changed", "settlement.failed"]
    );
    assert_eq!(service.get(&path).await.body["error"], "reorganised");
    let over = refused(&service, &path, "fail", &json!({ "error": "again" })).await;
    assert_eq!(
        (over.refusal(), &over.body["allowed"]),
        ((409, "illegal-transition"), &json!([]))
    );
}

#[tokio::test]
async fn networks_that_are_no_choice_are_refused_at_their_places() {
    let service = Service::start().await;
    let payment = service.captured("p", "10").await;
    let with = |networks: Value| {
        let mut body = settlement_of(&payment, "10");
        body["networks"] = networks;
        body
    };
    let none = service.post(SETTLEMENTS, "k", &with(json!([]))).await;
    assert_eq!(
        (none.refusal(), none.pointers()),
        ((422, "invalid-networks"), vec!["/networks"])
    );
    let mut sure = network("base", "1", 1);
    sure["reliability"] = json!(1.000_001);
    let twice = with(json!([
        network("polygon", "1", 1),
        sure,
        network("polygon", "2", 2)
    ]));
    let twice = service.post(SETTLEMENTS, "k", &twice).await;
    assert_eq!(twice.refusal(), (422, "invalid-networks"));
    assert_eq!(
        twice.pointers(),
        ["/networks/1/reliability", "/networks/2/network"]
    );
    let many: Vec<Value> = (0..33).map(|n| network(&format!("n{n}"), "1", 1)).collect();
    let many = service.post(SETTLEMENTS, "k", &with(json!(many))).await;
    assert_eq!(many.refusal(), (422, "invalid-networks"));

    let wrong = json!({
        "network": "Polygon", "cost_usd": -1, "seconds": 1.5, "reliability": "high", "gas_estimate": "-1",
        "required_confirmations": 0
    });
    let wrong = service.post(SETTLEMENTS, "k", &with(json!([wrong]))).await;
    assert_eq!(wrong.refusal(), (422, "invalid-request"));
    let named = [
        "cost_usd",
        "gas_estimate",
        "network",
        "reliability",
        "required_confirmations",
        "seconds",
    ];
    let named = named.map(|field| format!("/networks/0/{field}"));
    assert_eq!(wrong.pointers(), named.each_ref().map(String::as_str));
    assert_eq!(service.get(SETTLEMENTS).await.body["items"], json!([]));
}

#[tokio::test]
async fn a_body_with_very_many_violations_gets_an_answer_with_the_first_hundred_and_their_number() {
    let service = Service::start().await;
    let payment = service.captured("p", "10").await;
    let mut body = settlement_of(&payment, "10");
    // 240 KB: each network lacks its six fields.
    let networks = 80_000;
    body["networks"] = json!(vec![json!({}); networks]);
    let wrong = service.post(SETTLEMENTS, "k", &body).await;
    assert_eq!(wrong.refusal(), (422, "invalid-request"));
    assert_eq!(wrong.pointers().len(), events::MAX_VIOLATIONS);
    assert_eq!(
        wrong.body["more_violations"],
        networks * 6 - events::MAX_VIOLATIONS
    );
    let bytes = wrong.body.to_string().len();
    assert!(bytes < 16_000, "{bytes} bytes");
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let service = Service::start().await;
    let body = settlement_of(&format!("{PAYMENTS}/{NOBODY}"), "1");
    let orphan = service.post(SETTLEMENTS, "k", &body).await;
    assert_eq!(orphan.refusal(), (404, "not-found"));
    assert_eq!(
        (&orphan.body["payment_id"], orphan.pointers()),
        (&json!(NOBODY), vec!["/payment_id"])
    );
    for step in ["authorize", "capture", "cancel"] {
        let answer = service
            .post(&format!("{PAYMENTS}/{NOBODY}/{step}"), "k", &Value::Null)
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["payment_id"]),
            (404, &json!(NOBODY)),
            "{step}"
        );
    }
    for (step, body) in [
        ("submit", json!({ "tx_hash": "a" })),
        ("confirmations", json!({ "confirmations": 1 })),
        ("settle", json!({ "gas_actual": "1" })),
        ("fail", json!({ "error": "e" })),
    ] {
        let answer = service
            .post(&format!("{SETTLEMENTS}/{NOBODY}/{step}"), "k", &body)
            .await;
        assert_eq!(
            (answer.status.as_u16(), &answer.body["settlement_id"]),
            (404, &json!(NOBODY)),
            "{step}"
        );
        let bodiless = service
            .post(&format!("{SETTLEMENTS}/{NOBODY}/{step}"), "b", &Value::Null)
            .await;
        assert_eq!(bodiless.refusal(), (422, "invalid-request"), "{step}");
    }
    for path in [
        format!("{PAYMENTS}/{NOBODY}"),
        format!("{SETTLEMENTS}/{NOBODY}"),
        format!("{SETTLEMENTS}/{NOBODY}/witness"),
    ] {
        assert_eq!(
            service.get(&path).await.refusal(),
            (404, "not-found"),
            "{path}"
        );
    }
    assert_eq!(
        service.get(&format!("{PAYMENTS}/none")).await.refusal(),
        (400, "invalid-parameter")
    );
}

#[tokio::test]
async fn a_body_that_is_not_allowed_is_refused_with_every_violation() {
    let service = Service::start().await;
    for (body, pointers) in [
        (json!({ "amount": 0, "currency": "USD" }), vec!["/amount"]),
        (
            json!({ "amount": 1.001, "currency": "usd" }),
            vec!["/amount", "/currency"],
        ),
        (json!({}), vec!["/amount", "/currency"]),
    ] {
        let answer = service.post(PAYMENTS, "k", &body).await;
        assert_eq!(
            (answer.refusal(), answer.pointers()),
            ((422, "invalid-request"), pointers),
            "{body}"
        );
    }
    let path = service.payment("k", "1").await;
    let strange = service
        .post(&format!("{path}/authorize"), "k", &json!({ "amount": 1 }))
        .await;
    assert_eq!(strange.refusal(), (422, "invalid-request"));
    let keyless = service
        .send(service.request(Method::POST, PAYMENTS), &json!({}))
        .await;
    assert_eq!(keyless.refusal(), (400, "idempotency-key-required"));
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_even_after_the_status_moved_on() {
    let service = Service::start().await;
    let body = json!({ "amount": 10, "currency": "EUR" });
    let first = service.post(PAYMENTS, "k", &body).await;
    let path = format!("{PAYMENTS}/{}", first.id("payment_id"));
    let authorize = format!("{path}/authorize");
    let authorized = service.post(&authorize, "k", &Value::Null).await;
    service
        .post(&format!("{path}/capture"), "k", &Value::Null)
        .await;
    for (at, body, answer) in [
        (PAYMENTS, &body, &first),
        (&authorize, &Value::Null, &authorized),
    ] {
        let again = service.post(at, "k", body).await;
        assert_eq!((again.status, &again.body), (answer.status, &answer.body));
        assert!(again.is_replayed());
    }
    let other = service
        .post(PAYMENTS, "k", &json!({ "amount": 11, "currency": "EUR" }))
        .await;
    assert_eq!(other.refusal(), (422, "idempotency-key-reused"));
    let made = service
        .post(SETTLEMENTS, "k", &settlement_of(&path, "1"))
        .await;
    let again = service
        .post(SETTLEMENTS, "k", &settlement_of(&path, "1"))
        .await;
    assert_eq!((again.is_replayed(), &again.body), (true, &made.body));
    assert_eq!(
        service.types(&path).await[3..],
        ["payment.allocated".to_owned()]
    );
    assert_eq!(
        service.get(SETTLEMENTS).await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn settlements_under_way_are_listed_by_status_page_by_page() {
    let service = Service::start().await;
    let payment = service.captured("p", "80").await;
    let mut wanted = Vec::new();
    for number in 0..4 {
        wanted.push(service.settlement(&format!("a{number}"), &payment).await);
    }
    for number in 0..2 {
        wanted.push(service.submitted(&format!("b{number}"), &payment).await);
    }
    let confirmed = service.submitted("c", &payment).await;
    service
        .post(
            &format!("{confirmed}/confirmations"),
            "c",
            &json!({ "confirmations": 30 }),
        )
        .await;
    wanted.push(confirmed);
    let failed = service.submitted("d", &payment).await;
    service
        .post(&format!("{failed}/fail"), "d", &json!({ "error": "e" }))
        .await;

    let list = async |query: &str, limit: u32| {
        let mut listed = Vec::new();
        let mut path = format!("{SETTLEMENTS}?{query}limit={limit}");
        loop {
            let page = service.get(&path).await;
            assert_eq!(page.status, 200, "{page:?}");
            let items = page.body["items"].as_array().unwrap();
            assert!(items.len() <= limit as usize);
            let ids = items
                .iter()
                .map(|item| item["settlement_id"].as_str().unwrap());
            listed.extend(ids.map(|id| format!("{SETTLEMENTS}/{id}")));
            let Some(cursor) = page.body["next_cursor"].as_str() else {
                return listed;
            };
            path = format!("{SETTLEMENTS}?{query}limit={limit}&cursor={cursor}");
        }
    };
    for limit in 1..9 {
        assert_eq!(list("", limit).await, wanted, "{limit}");
    }
    for limit in [1, 2, 100] {
        assert_eq!(
            list("status=network_selected&", limit).await,
            wanted[..4],
            "{limit}"
        );
        assert_eq!(
            list("status=submitted&", limit).await,
            wanted[4..6],
            "{limit}"
        );
        assert!(list("status=confirming&", limit).await.is_empty());
    }
    let page = service
        .get(&format!("{SETTLEMENTS}?status=confirmed"))
        .await;
    let item = &page.body["items"][0];
    assert_eq!(
        (&item["status"], &item["version"]),
        (&json!("confirmed"), &json!(3))
    );

    let over = service.get(&format!("{SETTLEMENTS}?status=settled")).await;
    assert_eq!(
        (over.refusal(), over.pointers()),
        ((400, "invalid-parameter"), vec!["/query/status"])
    );
    let page = service
        .get(&format!("{SETTLEMENTS}?status=submitted&limit=1"))
        .await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let other = service
        .get(&format!("{SETTLEMENTS}?status=confirmed&cursor={cursor}"))
        .await;
    assert_eq!(
        (other.refusal(), other.pointers()),
        ((400, "invalid-parameter"), vec!["/query/cursor"])
    );
}

#[tokio::test]
async fn the_witness_agrees_over_more_than_a_page_of_events_and_says_when_it_does_not() {
    let service = Service::start().await;
    let payment = service.captured("p", "10").await;
    let mut body = settlement_of(&payment, "10");
    body["networks"] = json!([{
        "network": "slow", "cost_usd": 0, "seconds": 0, "reliability": 0, "gas_estimate": "1",
        "required_confirmations": 500
    }]);
    let made = service.post(SETTLEMENTS, "s", &body).await;
    let path = format!("{SETTLEMENTS}/{}", made.id("settlement_id"));
    let witness = format!("{path}/witness");
    service
        .post(
            &format!("{path}/submit"),
            "s",
            &json!({ "tx_hash": "0xabc" }),
        )
        .await;
    for number in 1..=120 {
        let body = json!({ "confirmations": number });
        service
            .post(
                &format!("{path}/confirmations"),
                &format!("c{number}"),
                &body,
            )
            .await;
    }
    let answer = service.get(&witness).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.body["agrees"], true, "{answer:?}");
    assert_eq!(answer.body["events"], 125);
    assert_eq!(answer.body["stored"], answer.body["rebuilt"]);
    assert_eq!(answer.body["stored"], service.get(&path).await.body);
    assert_eq!(answer.body["stored"]["transitions"], 4);

    service.store().lose_last_events();
    let answer = service.get(&witness).await;
    assert_eq!(answer.body["agrees"], false, "{answer:?}");
}

#[tokio::test]
async fn payments_and_settlements_have_scopes_of_their_own() {
    let mut service = Service::start().await;
    let payment = service.captured("p", "10").await;
    service
        .use_key(&["payments:read", "settlements:write"])
        .await;
    assert_eq!(service.get(&payment).await.status, 200);
    let made = service
        .post(SETTLEMENTS, "k", &settlement_of(&payment, "1"))
        .await;
    assert_eq!(made.status, 201);
    let path = format!("{SETTLEMENTS}/{}", made.id("settlement_id"));
    let unread = service.get(&path).await;
    assert_eq!(
        (unread.refusal(), &unread.body["scope"]),
        ((403, "missing-scope"), &json!("settlements:read"))
    );
    let unwritten = service
        .post(&format!("{payment}/authorize"), "k", &Value::Null)
        .await;
    assert_eq!(unwritten.body["scope"], "payments:write");
}

#[test]
fn the_openapi_document_has_every_endpoint() {
    let document = settlement_api::router::openapi();
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(operations, 15, "{:?}", paths.keys());
    for schema in ["SettlementView", "PaymentView"] {
        let fields = &document["components"]["schemas"][schema]["properties"];
        assert!(
            fields["status"].is_object() && fields["version"].is_object(),
            "{schema}: {fields}"
        );
    }
}
