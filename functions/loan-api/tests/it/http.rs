//! Tests the loan endpoints as callers see them, over the in-memory store. The test sets the clock. A loan is funded on
//! 1 January 2026, and its instalments are due on the first of the following months.

use std::time::Duration;

use crate::service::{Answer, LOANS, Service, loan_to, payload};
use http::Method;
use serde_json::{Value, json};

const NOBODY: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
const DAY: Duration = Duration::from_secs(86_400);

/// Sends a step of a loan and returns the answer.
async fn step(service: &Service, loan: &str, step: &str, body: &Value) -> Answer {
    let key = format!("{step} {body}").replace(' ', "-");
    service.post(&format!("{loan}/{step}"), &key, body).await
}

/// Returns the refusal of a loan's step, after checking that it published no event.
async fn refused(service: &Service, loan: &str, name: &str, body: &Value) -> Answer {
    let before = (service.types(loan).await, service.get(loan).await);
    let answer = step(service, loan, name, body).await;
    assert!(!answer.status.is_success(), "{answer:?}");
    let after = (service.types(loan).await, service.get(loan).await);
    assert_eq!(after, before, "{name}");
    answer
}

#[tokio::test]
async fn a_loan_is_agreed_on_funded_and_read() {
    let service = Service::with_members(&["ada"]).await;
    let made = service.post(LOANS, "k", &loan_to("ada")).await;
    assert_eq!(made.status, 201, "{made:?}");
    let id = made.id("loan_id");
    assert_eq!(
        made.body,
        json!({ "loan_id": id, "status": "created", "available": 10_000 })
    );
    let path = format!("{LOANS}/{id}");
    let nothing = json!({ "open_principal": 0, "interest_due": 0, "months_begun": 0 });
    let read = service.get(&path).await;
    assert_eq!(read.body["owed"], nothing);
    assert!(read.body.get("funded_at").is_none(), "{read:?}");

    // Without a body, the whole agreed amount is lent.
    let done = step(&service, &path, "fund", &Value::Null).await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(
        done.body,
        json!({ "loan_id": id, "status": "active", "available": 0 })
    );
    let read = service.get(&path).await;
    let owed = json!({ "open_principal": 10_000, "interest_due": 0, "months_begun": 0 });
    for (name, value) in [
        ("borrower_id", json!("ada")),
        ("amount", json!(10_000)),
        ("funded_amount", json!(10_000)),
        ("drawn_amount", json!(0)),
        ("currency", json!("USD")),
        ("interest_rate", json!(6)),
        ("term_months", json!(12)),
        ("status", json!("active")),
        ("balance", owed.clone()),
        ("owed", owed),
        ("payoff_amount", json!(10_000)),
        ("version", json!(2)),
    ] {
        assert_eq!(read.body[name], value, "{name}");
    }
    assert!(
        read.body["funded_at"]
            .as_str()
            .unwrap()
            .starts_with("2026-01-01T")
    );

    let events = service.history(&path).await;
    let recorded: Vec<_> = events
        .iter()
        .map(|event| {
            let fact = event.idempotency_key.as_ref().unwrap().to_string();
            (event.event_type.as_str(), event.priority.as_str(), fact)
        })
        .collect();
    assert_eq!(
        recorded,
        [
            ("loan.created", "normal", format!("loan/{id}/created")),
            ("loan.funded", "critical", format!("loan/{id}/funded")),
        ]
    );
    assert_eq!(
        payload(&events[0]),
        json!({
            "loan_id": id, "borrower_id": "ada", "amount": 10_000, "currency": "USD", "interest_rate": 6,
            "term_months": 12, "version": 1
        })
    );
    assert_eq!(
        payload(&events[1]),
        json!({
            "loan_id": id, "borrower_id": "ada", "funded_amount": 10_000, "currency": "USD",
            "funded_at": read.body["funded_at"], "version": 2
        })
    );
}

#[tokio::test]
async fn what_was_not_lent_can_be_drawn() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.loan("k", &loan_to("ada")).await;
    let some = json!({ "funded_amount": "7000.50" });
    let done = step(&service, &path, "fund", &some).await;
    assert_eq!(done.body["available"], 2_999.5);
    assert_eq!(service.get(&path).await.body["payoff_amount"], 7_000.5);
}

#[tokio::test]
async fn a_loan_is_called_off_before_money_is_lent() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.loan("k", &loan_to("ada")).await;
    let why = json!({ "reason": "found it cheaper" });
    let done = step(&service, &path, "cancel", &why).await;
    assert_eq!(
        (done.status.as_u16(), &done.body["status"]),
        (200, &json!("cancelled"))
    );
    let recorded = &service.history(&path).await[1];
    assert_eq!(recorded.event_type.as_str(), "loan.cancelled");
    assert_eq!(payload(recorded)["reason"], "found it cheaper");
}

#[tokio::test]
async fn interest_of_a_month_is_owed_from_the_day_behind_its_due_day() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10000").await;
    // On 1 January, 2 January, 1 February and 2 February: half a per cent a month.
    for (days, months_begun, payoff) in [
        (0, 0, 10_000),
        (1, 1, 10_050),
        (30, 1, 10_050),
        (1, 2, 10_100),
    ] {
        service.clock().advance(DAY * days);
        let read = service.get(&path).await.body;
        assert_eq!(
            (&read["owed"]["months_begun"], &read["payoff_amount"]),
            (&json!(months_begun), &json!(payoff))
        );
        // The stored balance is as of the last change.
        assert_eq!(read["balance"]["months_begun"], 0);
        assert_eq!(read["version"], 2);
    }
}

#[tokio::test]
async fn a_payment_pays_interest_first_and_the_last_one_pays_the_loan_off() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10000").await;
    service.clock().advance(DAY);
    let first = service.pay("p1", &path, "30").await;
    assert_eq!(first.status, 201, "{first:?}");
    let (payment_id, loan_id) = (first.id("payment_id"), first.id("loan_id"));
    let balance = json!({ "open_principal": 10_000, "interest_due": 20, "months_begun": 1 });
    assert_eq!(
        first.body,
        json!({
            "payment_id": payment_id, "loan_id": loan_id, "interest_paid": 30, "principal_paid": 0, "balance": balance,
            "status": "active"
        })
    );
    let second = service.pay("p2", &path, "4020").await;
    assert_eq!(
        (
            &second.body["interest_paid"],
            &second.body["principal_paid"],
            &second.body["balance"]["open_principal"]
        ),
        (&json!(20), &json!(4_000), &json!(6_000))
    );

    let more = refused(
        &service,
        &path,
        "payments",
        &json!({ "amount": "6000.01", "payment_method": "wire" }),
    )
    .await;
    assert_eq!(more.refusal(), (409, "payment-too-large"));
    assert_eq!(more.body["payoff_amount"], 6_000);

    let last = service.pay("p3", &path, "6000").await;
    assert_eq!(
        (last.status.as_u16(), &last.body["status"]),
        (201, &json!("paid_off"))
    );
    let read = service.get(&path).await.body;
    for (name, value) in [
        ("status", json!("paid_off")),
        ("principal_paid", json!(10_000)),
        ("interest_paid", json!(50)),
        ("payments", json!(3)),
        ("payoff_amount", json!(0)),
        ("version", json!(5)),
    ] {
        assert_eq!(read[name], value, "{name}");
    }
    // No more interest is charged.
    service.clock().advance(DAY * 400);
    let later = service.get(&path).await.body;
    assert_eq!(
        (&later["status"], &later["payoff_amount"]),
        (&json!("paid_off"), &json!(0))
    );
    let over = json!({ "amount": 1, "payment_method": "ach" });
    let over = refused(&service, &path, "payments", &over).await;
    assert_eq!(
        (
            over.refusal(),
            &over.body["loan_status"],
            &over.body["allowed"]
        ),
        (
            (409, "wrong-status"),
            &json!("paid_off"),
            &json!(["active"])
        )
    );

    let received = "loan.payment_received";
    assert_eq!(
        service.types(&path).await[2..],
        [received, received, received, "loan.paid_off"]
    );
    let events = service.history(&path).await;
    assert_eq!(
        payload(&events[2]),
        json!({
            "payment_id": payment_id, "loan_id": loan_id, "borrower_id": "ada", "amount": 30, "payment_method": "ach",
            "interest_paid": 30, "principal_paid": 0, "currency": "USD", "balance": balance, "version": 3
        })
    );
    assert_eq!(
        payload(&events[5]),
        json!({
            "loan_id": loan_id, "borrower_id": "ada", "payment_id": last.id("payment_id"), "principal_paid": 10_000,
            "interest_paid": 50, "currency": "USD", "version": 5
        })
    );
}

/// Returns the items of a list, read in pages of this size.
async fn pages(service: &Service, path: &str, limit: usize) -> Vec<Value> {
    let mut items = Vec::new();
    let sign = if path.contains('?') { '&' } else { '?' };
    let first = format!("{path}{sign}limit={limit}");
    let mut next = first.clone();
    loop {
        let page = service.get(&next).await;
        assert_eq!(page.status, 200, "{page:?}");
        let of_page = page.body["items"].as_array().unwrap();
        assert!(of_page.len() <= limit);
        items.extend(of_page.iter().cloned());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            return items;
        };
        next = format!("{first}&cursor={cursor}");
    }
}

#[tokio::test]
async fn payments_are_listed_in_their_order_page_by_page() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10000").await;
    let nothing: [Value; 0] = [];
    assert_eq!(
        pages(&service, &format!("{path}/payments"), 2).await,
        nothing
    );
    let mut wanted = Vec::new();
    for number in 1..=11 {
        let amount = number.to_string();
        let paid = service.pay(&format!("p{number}"), &path, &amount).await;
        wanted.push((json!(number), paid.body["payment_id"].clone()));
    }
    for limit in [1, 2, 5, 11, 100] {
        let items = pages(&service, &format!("{path}/payments"), limit).await;
        let listed = items
            .iter()
            .map(|one| (one["number"].clone(), one["payment_id"].clone()));
        assert_eq!(listed.collect::<Vec<_>>(), wanted, "{limit}");
    }
    let items = pages(&service, &format!("{path}/payments"), 100).await;
    assert_eq!(
        (
            &items[10]["amount"],
            &items[10]["payment_method"],
            &items[10]["balance"]["open_principal"]
        ),
        (&json!(11), &json!("ach"), &json!(10_000 - 66))
    );
}

#[tokio::test]
async fn loans_are_listed_by_borrower_newest_first_page_by_page() {
    let service = Service::with_members(&["ada", "bob"]).await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        let path = service.loan(&format!("a{number}"), &loan_to("ada")).await;
        wanted.insert(0, path);
        service.clock().advance(DAY);
    }
    service.funded("b", &loan_to("bob"), "9000").await;
    for limit in [1, 2, 5, 100] {
        let items = pages(&service, &format!("{LOANS}?borrower_id=ada"), limit).await;
        let listed = items
            .iter()
            .map(|one| format!("{LOANS}/{}", one["loan_id"].as_str().unwrap()));
        assert_eq!(listed.collect::<Vec<_>>(), wanted, "{limit}");
    }
    let of_bob = pages(&service, &format!("{LOANS}?borrower_id=bob"), 100).await;
    let path = format!("{LOANS}/{}", of_bob[0]["loan_id"].as_str().unwrap());
    assert_eq!(of_bob, [service.get(&path).await.body]);
    let of_nobody = service.get(&format!("{LOANS}?borrower_id=cyd")).await;
    assert_eq!(of_nobody.refusal(), (404, "not-found"));

    let whose = service.get(LOANS).await;
    assert_eq!(
        (whose.refusal(), whose.pointers()),
        ((400, "invalid-parameter"), vec!["/query/borrower_id"])
    );
    let page = service
        .get(&format!("{LOANS}?borrower_id=ada&limit=1"))
        .await;
    let cursor = page.body["next_cursor"].as_str().unwrap();
    let other = service
        .get(&format!("{LOANS}?borrower_id=bob&cursor={cursor}"))
        .await;
    assert_eq!(
        (other.refusal(), other.pointers()),
        ((400, "invalid-parameter"), vec!["/query/cursor"])
    );
}

#[tokio::test]
async fn what_is_not_there_is_named() {
    let service = Service::with_members(&["ada"]).await;
    let orphan = service.post(LOANS, "k", &loan_to("cyd")).await;
    assert_eq!(orphan.refusal(), (404, "not-found"));
    assert_eq!(
        (&orphan.body["member_id"], orphan.pointers()),
        (&json!("cyd"), vec!["/borrower_id"])
    );
    let nothing = format!("{LOANS}/{NOBODY}");
    let payment = json!({ "amount": 1, "payment_method": "ach" });
    let draw = format!("draws/{NOBODY}");
    for (name, body) in [
        ("fund", Value::Null),
        ("modify", json!({ "term_months": 3 })),
        ("cancel", Value::Null),
        ("payments", payment),
        ("draws", json!({ "amount": 1 })),
        (&format!("{draw}/approve"), Value::Null),
        (&format!("{draw}/reject"), Value::Null),
    ] {
        let answer = step(&service, &nothing, name, &body).await;
        assert_eq!(
            (answer.refusal(), &answer.body["loan_id"]),
            ((404, "not-found"), &json!(NOBODY)),
            "{name}"
        );
    }
    for path in ["", "/schedule", "/payments", "/draws"] {
        let answer = service.get(&format!("{nothing}{path}")).await;
        assert_eq!(
            (answer.refusal(), &answer.body["loan_id"]),
            ((404, "not-found"), &json!(NOBODY)),
            "{path}"
        );
    }
    let path = service.funded("f", &loan_to("ada"), "1").await;
    for name in ["approve", "reject"] {
        let answer = refused(&service, &path, &format!("{draw}/{name}"), &Value::Null).await;
        assert_eq!(
            (answer.refusal(), &answer.body["draw_id"]),
            ((404, "not-found"), &json!(NOBODY)),
            "{name}"
        );
    }
    assert_eq!(
        service.get(&format!("{LOANS}/none")).await.refusal(),
        (400, "invalid-parameter")
    );
}

#[tokio::test]
async fn what_a_loans_status_does_not_allow_is_refused_with_what_it_does() {
    let service = Service::with_members(&["ada"]).await;
    let payment = json!({ "amount": 1, "payment_method": "ach" });
    let draw = json!({ "amount": 1 });
    let terms = json!({ "term_months": 24 });

    let created = service.loan("k", &loan_to("ada")).await;
    for (name, body) in [("payments", &payment), ("draws", &draw)] {
        let early = refused(&service, &created, name, body).await;
        assert_eq!(early.refusal(), (409, "wrong-status"), "{name}");
        assert_eq!(
            (&early.body["loan_status"], &early.body["allowed"]),
            (&json!("created"), &json!(["active"])),
            "{name}"
        );
    }
    step(&service, &created, "cancel", &Value::Null).await;
    let cancelled = created;
    for (name, body, allowed) in [
        ("payments", &payment, json!(["active"])),
        ("draws", &draw, json!(["active"])),
        ("modify", &terms, json!(["created", "active"])),
    ] {
        let late = refused(&service, &cancelled, name, body).await;
        assert_eq!(
            (
                late.refusal(),
                &late.body["loan_status"],
                &late.body["allowed"]
            ),
            ((409, "wrong-status"), &json!("cancelled"), &allowed),
            "{name}"
        );
    }
    let late = refused(&service, &cancelled, "fund", &json!({ "funded_amount": 1 })).await;
    assert_eq!(late.refusal(), (409, "illegal-transition"));
    assert_eq!(
        (&late.body["from"], &late.body["to"], &late.body["allowed"]),
        (&json!("cancelled"), &json!("active"), &json!([]))
    );

    let active = service.funded("f", &loan_to("ada"), "9000").await;
    for (name, to) in [("fund", "active"), ("cancel", "cancelled")] {
        let late = refused(&service, &active, name, &json!({})).await;
        assert_eq!(late.refusal(), (409, "illegal-transition"), "{name}");
        assert_eq!(
            (&late.body["from"], &late.body["to"], &late.body["allowed"]),
            (&json!("active"), &json!(to), &json!(["paid_off"])),
            "{name}"
        );
    }
    let asked = service.draw("d", &active, "1").await;
    service.pay("p", &active, "9000").await;
    let decided = asked.strip_prefix(&format!("{active}/")).unwrap();
    let late = refused(&service, &active, &format!("{decided}/approve"), &json!({})).await;
    assert_eq!(
        (late.refusal(), &late.body["loan_status"]),
        ((409, "wrong-status"), &json!("paid_off"))
    );
    // A waiting draw can be rejected nevertheless.
    let closed = service
        .post(&format!("{active}/{decided}/reject"), "r", &json!({}))
        .await;
    assert_eq!(
        (closed.status.as_u16(), &closed.body["status"]),
        (200, &json!("rejected"))
    );
    let late = refused(&service, &active, "modify", &terms).await;
    assert_eq!(late.body["allowed"], json!(["created", "active"]));
}

#[tokio::test]
async fn a_body_that_is_not_allowed_is_refused_with_every_violation() {
    let service = Service::with_members(&["ada"]).await;
    let with = |changes: Value| {
        let mut body = loan_to("ada");
        for (name, value) in changes.as_object().unwrap() {
            body[name] = value.clone();
        }
        body
    };
    for (changes, pointers) in [
        (json!({ "amount": 0 }), vec!["/amount"]),
        (json!({ "amount": 1.001 }), vec!["/amount"]),
        (
            json!({ "interest_rate": 100.000_001 }),
            vec!["/interest_rate"],
        ),
        (json!({ "interest_rate": -1 }), vec!["/interest_rate"]),
        (json!({ "term_months": 0 }), vec!["/term_months"]),
        (json!({ "term_months": 481 }), vec!["/term_months"]),
        (json!({ "term_months": 1.5 }), vec!["/term_months"]),
        (
            json!({ "amount": -1, "currency": "GBP", "borrower_id": "" }),
            vec!["/amount", "/borrower_id", "/currency"],
        ),
    ] {
        let answer = service.post(LOANS, "k", &with(changes.clone())).await;
        assert_eq!(
            (answer.refusal(), answer.pointers()),
            ((422, "invalid-request"), pointers),
            "{changes}"
        );
    }
    // The limits of the allowed ranges.
    for (key, changes) in [
        ("most", json!({ "interest_rate": 100, "term_months": 480 })),
        ("least", json!({ "interest_rate": 0, "term_months": 1 })),
    ] {
        service.loan(key, &with(changes)).await;
    }

    let path = service.funded("k", &loan_to("ada"), "1").await;
    for (name, body, pointers) in [
        (
            "modify",
            json!({ "interest_rate": 100.5 }),
            vec!["/interest_rate"],
        ),
        ("modify", json!({ "term_months": 0 }), vec!["/term_months"]),
        (
            "modify",
            json!({ "term_months": 481 }),
            vec!["/term_months"],
        ),
        ("payments", json!({}), vec!["/amount", "/payment_method"]),
        (
            "payments",
            json!({ "amount": 0, "payment_method": "ach" }),
            vec!["/amount"],
        ),
        ("draws", json!({ "amount": "0.00" }), vec!["/amount"]),
    ] {
        let answer = refused(&service, &path, name, &body).await;
        assert_eq!(
            (answer.refusal(), answer.pointers()),
            ((422, "invalid-request"), pointers),
            "{name} {body}"
        );
    }
    let draw = service.draw("d", &path, "1").await;
    let approve = format!("{draw}/approve");
    let strange = service.post(&approve, "k", &json!({ "amount": 1 })).await;
    assert_eq!(strange.refusal(), (422, "invalid-request"));
    let keyless = service
        .send(service.request(Method::POST, LOANS), &loan_to("ada"))
        .await;
    assert_eq!(keyless.refusal(), (400, "idempotency-key-required"));
}

#[tokio::test]
async fn no_more_is_lent_than_was_agreed_on() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.loan("k", &loan_to("ada")).await;
    let more = refused(
        &service,
        &path,
        "fund",
        &json!({ "funded_amount": "10000.01" }),
    )
    .await;
    assert_eq!(
        (more.refusal(), more.pointers()),
        ((422, "funding-too-large"), vec!["/funded_amount"])
    );
    assert_eq!(more.body["amount"], 10_000);
}

#[tokio::test]
async fn terms_change_before_and_after_the_funding_and_terms_that_hold_change_nothing() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.loan("k", &loan_to("ada")).await;
    let before = step(&service, &path, "modify", &json!({ "interest_rate": 5.5 })).await;
    assert_eq!(before.status, 200, "{before:?}");
    step(&service, &path, "fund", &Value::Null).await;
    service.clock().advance(DAY);
    step(&service, &path, "modify", &json!({ "term_months": 24 })).await;
    let same = json!({ "interest_rate": 5.5, "term_months": 24 });
    let same = step(&service, &path, "modify", &same).await;
    assert_eq!(same.status, 200, "{same:?}");
    let nothing = step(&service, &path, "modify", &json!({})).await;
    assert_eq!(nothing.status, 200, "{nothing:?}");

    let modified = "loan.modified";
    assert_eq!(
        service.types(&path).await,
        ["loan.created", modified, "loan.funded", modified]
    );
    let events = service.history(&path).await;
    assert!(payload(&events[1]).get("balance").is_none());
    let id = path.rsplit('/').next().unwrap();
    // 5.5 % a year is 45.83 for the month that has begun.
    assert_eq!(
        payload(&events[3]),
        json!({
            "loan_id": id, "borrower_id": "ada", "interest_rate": 5.5, "term_months": 24, "version": 4,
            "balance": { "open_principal": 10_000, "interest_due": 45.83, "months_begun": 1 }
        })
    );
    assert_eq!(service.get(&path).await.body["version"], 4);
}

#[tokio::test]
async fn a_term_is_not_shorter_than_the_months_that_have_begun() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10000").await;
    // 2 March: the third month has begun.
    service.clock().advance(DAY * 60);
    let short = refused(&service, &path, "modify", &json!({ "term_months": 2 })).await;
    assert_eq!(
        (short.refusal(), short.pointers()),
        ((422, "term-too-short"), vec!["/term_months"])
    );
    assert_eq!(short.body["at_least"], 3);
    let done = step(&service, &path, "modify", &json!({ "term_months": 3 })).await;
    assert_eq!(done.status, 200, "{done:?}");
}

#[tokio::test]
async fn a_draw_is_asked_for_by_one_and_approved_by_another() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "6000").await;
    let asked = service
        .post(&format!("{path}/draws"), "d", &json!({ "amount": 1500 }))
        .await;
    assert_eq!(asked.status, 201, "{asked:?}");
    let (draw_id, loan_id) = (asked.id("draw_id"), asked.id("loan_id"));
    assert_eq!(
        asked.body,
        json!({ "draw_id": draw_id, "loan_id": loan_id, "status": "requested", "available": 4_000 })
    );
    let approve = format!("{path}/draws/{draw_id}/approve");
    let open = async || {
        let read = service.get(&path).await.body;
        (
            read["open_draws"].clone(),
            read["open_draws_amount"].clone(),
        )
    };
    assert_eq!(open().await, (json!(1), json!(1_500)));

    // The requester's key has every scope, and so do the owner's other keys: the owner decides, not the key.
    let own = service.post(&approve, "own", &Value::Null).await;
    assert_eq!(own.refusal(), (403, "approval-by-requester"));
    let other_key = service.key_of("billing", &["loans:approve"]).await;
    let own = service
        .post_by(&other_key, &approve, "other", &Value::Null)
        .await;
    assert_eq!(own.refusal(), (403, "approval-by-requester"));
    // Another owner's key needs the scope too.
    let writer = service.key_of("risk", &["loans:write", "loans:read"]).await;
    for decision in ["approve", "reject"] {
        let path = format!("{path}/draws/{draw_id}/{decision}");
        let unscoped = service.post_by(&writer, &path, "w", &Value::Null).await;
        assert_eq!(
            (unscoped.refusal(), &unscoped.body["scope"]),
            ((403, "missing-scope"), &json!("loans:approve")),
            "{decision}"
        );
    }
    assert_eq!(service.get(&path).await.body["version"], 3);

    let approver = service.key_of("risk", &["loans:approve"]).await;
    let done = service
        .post_by(&approver, &approve, "a", &Value::Null)
        .await;
    assert_eq!(done.status, 200, "{done:?}");
    assert_eq!(
        done.body,
        json!({ "draw_id": draw_id, "loan_id": loan_id, "status": "approved", "available": 2_500 })
    );
    let again = service
        .post_by(&approver, &approve, "a", &Value::Null)
        .await;
    assert_eq!((again.is_replayed(), &again.body), (true, &done.body));
    for decision in ["approve", "reject"] {
        let path = format!("{path}/draws/{draw_id}/{decision}");
        let late = service.post_by(&approver, &path, "b", &json!({})).await;
        assert_eq!(
            (late.refusal(), &late.body["draw_status"]),
            ((409, "draw-decided"), &json!("approved")),
            "{decision}"
        );
    }
    // The approval scope does not allow a request.
    let asking = service
        .post_by(
            &approver,
            &format!("{path}/draws"),
            "c",
            &json!({ "amount": 1 }),
        )
        .await;
    assert_eq!(asking.body["scope"], "loans:write");

    assert_eq!(open().await, (json!(0), json!(0)));
    let read = service.get(&path).await.body;
    assert_eq!(
        (
            &read["drawn_amount"],
            &read["payoff_amount"],
            &read["version"]
        ),
        (&json!(1_500), &json!(7_500), &json!(4))
    );
    let [.., asked, approved] = &service.history(&path).await[..] else {
        panic!("two events");
    };
    assert_eq!(
        payload(asked),
        json!({
            "draw_id": draw_id, "loan_id": loan_id, "amount": 1_500, "currency": "USD", "requested_by": "billing",
            "version": 3
        })
    );
    assert_eq!(
        payload(approved),
        json!({
            "draw_id": draw_id, "loan_id": loan_id, "borrower_id": "ada", "amount": 1_500, "currency": "USD",
            "approved_by": "risk", "version": 4,
            "balance": { "open_principal": 7_500, "interest_due": 0, "months_begun": 0 }
        })
    );
}

#[tokio::test]
async fn whoever_asked_for_a_draw_may_reject_it_and_the_reason_is_told() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "6000").await;
    let draw = service.draw("d", &path, "1000").await;
    let why = json!({ "reason": "asked for by mistake" });
    let done = service.post(&format!("{draw}/reject"), "r", &why).await;
    assert_eq!(
        (
            done.status.as_u16(),
            &done.body["status"],
            &done.body["available"]
        ),
        (200, &json!("rejected"), &json!(4_000))
    );
    let late = service
        .post(&format!("{draw}/approve"), "a", &Value::Null)
        .await;
    assert_eq!(
        (late.refusal(), &late.body["draw_status"]),
        ((409, "draw-decided"), &json!("rejected"))
    );
    let recorded = service.history(&path).await.pop().unwrap();
    assert_eq!(recorded.event_type.as_str(), "loan.draw_rejected");
    assert_eq!(
        (
            &payload(&recorded)["rejected_by"],
            &payload(&recorded)["reason"]
        ),
        (&json!("billing"), &json!("asked for by mistake"))
    );
}

#[tokio::test]
async fn draws_never_come_to_more_than_was_agreed_on() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "6000").await;
    let more = refused(&service, &path, "draws", &json!({ "amount": "4000.01" })).await;
    assert_eq!(
        (more.refusal(), &more.body["available"]),
        ((409, "draw-too-large"), &json!(4_000))
    );
    // A request reserves nothing: the draw that is approved first gets the money.
    let [first, second] = [
        service.draw("d1", &path, "4000").await,
        service.draw("d2", &path, "0.01").await,
    ];
    let approver = service.key_of("risk", &["loans:approve"]).await;
    let approve = async |draw: &str| {
        let path = format!("{draw}/approve");
        service.post_by(&approver, &path, "a", &Value::Null).await
    };
    assert_eq!(approve(&first).await.status, 200);
    let late = approve(&second).await;
    assert_eq!(
        (late.refusal(), &late.body["available"]),
        ((409, "draw-too-large"), &json!(0))
    );
    let draws = pages(&service, &format!("{path}/draws"), 10).await;
    assert_eq!(draws[1]["status"], "requested");
}

#[tokio::test]
async fn draws_are_listed_as_they_were_asked_for_page_by_page() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "6000").await;
    let mut wanted = Vec::new();
    for number in 0..5 {
        wanted.push(service.draw(&format!("d{number}"), &path, "10").await);
        service.clock().advance(DAY);
    }
    let why = json!({ "reason": "later" });
    service
        .post(&format!("{}/reject", wanted[2]), "r", &why)
        .await;
    for limit in [1, 2, 5, 100] {
        let items = pages(&service, &format!("{path}/draws"), limit).await;
        let listed = items
            .iter()
            .map(|one| format!("{path}/draws/{}", one["draw_id"].as_str().unwrap()));
        assert_eq!(listed.collect::<Vec<_>>(), wanted, "{limit}");
    }
    let items = pages(&service, &format!("{path}/draws"), 100).await;
    let rejected = &items[2];
    for (name, value) in [
        ("amount", json!(10)),
        ("status", json!("rejected")),
        ("requested_by", json!("billing")),
        ("requested_at", json!("2026-01-03T00:00:00.000Z")),
        ("decided_by", json!("billing")),
        ("decided_at", json!("2026-01-06T00:00:00.000Z")),
        ("reason", json!("later")),
    ] {
        assert_eq!(rejected[name], value, "{name}");
    }
    assert!(items[0].get("decided_by").is_none(), "{}", items[0]);
}

#[tokio::test]
async fn a_repeat_gets_the_first_answer_and_is_one_loan_one_funding_one_payment() {
    let service = Service::with_members(&["ada"]).await;
    let first = service.post(LOANS, "k", &loan_to("ada")).await;
    let path = format!("{LOANS}/{}", first.id("loan_id"));
    let fund = format!("{path}/fund");
    let funded = service.post(&fund, "k", &Value::Null).await;
    let payments = format!("{path}/payments");
    let payment = json!({ "amount": 4_000, "payment_method": "ach" });
    let paid = service.post(&payments, "k", &payment).await;
    for (at, body, answer) in [
        (LOANS, &loan_to("ada"), &first),
        (&fund, &Value::Null, &funded),
        (&payments, &payment, &paid),
    ] {
        let again = service.post(at, "k", body).await;
        assert_eq!(
            (again.status, &again.body),
            (answer.status, &answer.body),
            "{at}"
        );
        assert!(again.is_replayed(), "{at}");
    }
    let mut other = loan_to("ada");
    other["amount"] = json!(9_000);
    let other = service.post(LOANS, "k", &other).await;
    assert_eq!(other.refusal(), (422, "idempotency-key-reused"));

    assert_eq!(
        service.types(&path).await,
        ["loan.created", "loan.funded", "loan.payment_received"]
    );
    let loans = pages(&service, &format!("{LOANS}?borrower_id=ada"), 10).await;
    assert_eq!(loans, [service.get(&path).await.body]);
    assert_eq!(pages(&service, &payments, 10).await.len(), 1);
}

#[tokio::test]
async fn payments_at_the_same_time_never_come_to_more_than_is_owed() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10").await;
    let keys: Vec<String> = (0..5).map(|number| format!("p{number}")).collect();
    let paid = keys.iter().map(|key| service.pay(key, &path, "3"));
    let answers = futures::future::join_all(paid).await;
    let done = answers.iter().filter(|answer| answer.status == 201).count();
    assert_eq!(done, 3, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 201) {
        assert_eq!(
            (answer.refusal(), &answer.body["payoff_amount"]),
            ((409, "payment-too-large"), &json!(1))
        );
    }
    let payments = pages(&service, &format!("{path}/payments"), 10).await;
    let numbers: Vec<&Value> = payments.iter().map(|one| &one["number"]).collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn there_is_no_schedule_before_the_servicing_made_one_and_earlier_ones_stay() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.loan("k", &loan_to("ada")).await;
    let schedule = format!("{path}/schedule");
    assert_eq!(service.get(&schedule).await.refusal(), (404, "not-found"));
    step(&service, &path, "fund", &Value::Null).await;
    let none = service.get(&schedule).await;
    let id = path.rsplit('/').next().unwrap();
    assert_eq!(
        (none.refusal(), &none.body["loan_id"]),
        ((404, "not-found"), &json!(id))
    );

    service.serve(&path).await;
    let first = service.get(&schedule).await.body;
    // 10,000 at 6 % over 12 months.
    for (name, value) in [
        ("loan_id", json!(id)),
        ("revision", json!(1)),
        ("currency", json!("USD")),
        ("paid", json!(0)),
        ("paid_ahead", json!(0)),
        ("instalment", json!(860.66)),
        ("generated_at", json!("2026-01-01T00:00:00.000Z")),
    ] {
        assert_eq!(first[name], value, "{name}");
    }
    let instalments = first["instalments"].as_array().unwrap();
    assert_eq!(instalments.len(), 12);
    assert_eq!(
        instalments[0],
        json!({
            "number": 1, "due_on": "2026-02-01", "amount": 860.66, "interest": 50, "principal": 810.66,
            "open_after": 9_189.34
        })
    );
    assert_eq!(
        (&instalments[11]["due_on"], &instalments[11]["open_after"]),
        (&json!("2027-01-01"), &json!(0))
    );
    assert!(first["annual_percentage_rate"].is_number(), "{first}");
    let recorded = service.history(&path).await.pop().unwrap();
    assert_eq!(
        recorded.event_type.as_str(),
        "loan.payment_schedule_generated"
    );
    assert_eq!(payload(&recorded)["schedule_id"], first["schedule_id"]);
    // A copy of the event: the existing schedule already covers it.
    service.serve(&path).await;
    assert_eq!(service.get(&schedule).await.body, first);

    step(&service, &path, "modify", &json!({ "term_months": 6 })).await;
    // Until `loan-servicing` handles the change, the first schedule is valid.
    assert_eq!(service.get(&schedule).await.body, first);
    service.serve(&path).await;
    let second = service.get(&schedule).await.body;
    assert_eq!(
        (
            &second["revision"],
            second["instalments"].as_array().unwrap().len()
        ),
        (&json!(2), 6)
    );
    for (revision, wanted) in [(1, &first), (2, &second)] {
        let read = service
            .get(&format!("{schedule}?revision={revision}"))
            .await;
        assert_eq!(&read.body, wanted);
    }
    let third = service.get(&format!("{schedule}?revision=3")).await;
    assert_eq!(third.refusal(), (404, "not-found"));
    let zeroth = service.get(&format!("{schedule}?revision=0")).await;
    assert_eq!(
        (zeroth.refusal(), zeroth.pointers()),
        ((400, "invalid-parameter"), vec!["/query/revision"])
    );
}

#[tokio::test]
async fn a_loan_that_is_paid_as_planned_is_paid_off_with_its_last_instalment() {
    let service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "10000").await;
    service.serve(&path).await;
    let schedule = service.get(&format!("{path}/schedule")).await.body;
    let instalments = schedule["instalments"].as_array().unwrap();
    // The days of the months of 2026: each instalment is paid on its due date.
    let days = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    for (one, days) in instalments.iter().zip(days) {
        service.clock().advance(DAY * days);
        let due = one["due_on"].as_str().unwrap();
        let paid = service.pay(due, &path, &one["amount"].to_string()).await;
        assert_eq!(paid.status, 201, "{due}: {paid:?}");
        assert_eq!(
            (
                &paid.body["interest_paid"],
                &paid.body["principal_paid"],
                &paid.body["balance"]["open_principal"]
            ),
            (&one["interest"], &one["principal"], &one["open_after"]),
            "{due}"
        );
        let is_last = one["number"] == 12;
        let status = if is_last { "paid_off" } else { "active" };
        assert_eq!(paid.body["status"], status, "{due}");
    }
    let types = service.types(&path).await;
    assert_eq!(types.last().unwrap(), "loan.paid_off");
}

#[tokio::test]
async fn reading_writing_and_approving_are_scopes_of_their_own() {
    let mut service = Service::with_members(&["ada"]).await;
    let path = service.funded("k", &loan_to("ada"), "6000").await;
    let draw = service.draw("d", &path, "1").await;
    for (scope, missing) in [
        ("loans:read", ["loans:write", "loans:approve"]),
        ("loans:write", ["loans:read", "loans:approve"]),
        ("loans:approve", ["loans:read", "loans:write"]),
        ("cloud:approve", ["loans:read", "loans:approve"]),
    ] {
        service.use_key(&[scope]).await;
        for needed in missing {
            let answer = match needed {
                "loans:read" => service.get(&path).await,
                "loans:write" => service.post(LOANS, "s", &loan_to("ada")).await,
                _ => {
                    let reject = format!("{draw}/reject");
                    service.post(&reject, "s", &Value::Null).await
                }
            };
            assert_eq!(
                (answer.refusal(), &answer.body["scope"]),
                ((403, "missing-scope"), &json!(needed)),
                "{scope}"
            );
        }
    }
}

#[test]
fn the_openapi_document_has_every_endpoint() {
    let document = loan_api::router::openapi();
    let paths = document["paths"].as_object().unwrap();
    let operations: usize = paths
        .values()
        .map(|path| path.as_object().unwrap().len())
        .sum();
    assert_eq!(operations, 13, "{:?}", paths.keys());
    for (schema, field) in [
        ("LoanView", "payoff_amount"),
        ("PaymentSchedule", "instalments"),
        ("DrawAnswer", "available"),
        ("LoanPaymentAnswer", "interest_paid"),
    ] {
        let fields = &document["components"]["schemas"][schema]["properties"];
        assert!(fields[field].is_object(), "{schema}: {fields}");
    }
}
