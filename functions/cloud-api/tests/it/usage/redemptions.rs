use serde_json::{Value, json};

use super::{REDEMPTIONS, approve, propose, refused};
use crate::{
    http::{balance, history, payload, statement},
    service::{Answer, Service},
};

fn redemption() -> Value {
    json!({
        "member_id": "ada", "amount": 3.75, "primitive": "compute", "quantity": 2.5, "unit": "compute-hour",
        "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": 1
    })
}

fn with(field: &str, value: impl Into<Value>) -> Value {
    let mut body = redemption();
    body[field] = value.into();
    body
}

/// Ada has 100 credits. Card 1 is effective, card 2 is approved for a later date, card 3 is proposed.
async fn service() -> Service {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m1", "ada", "100").await;
    for (version, effective) in [(1, "2020-02-01"), (2, "2999-01-01"), (3, "2020-03-01")] {
        let proposed = propose(&service, &format!("p{version}"), effective).await;
        assert_eq!(
            (proposed.status.as_u16(), &proposed.body["version"]),
            (201, &json!(version))
        );
    }
    for version in [1, 2] {
        let approved = approve(&service, &format!("a{version}"), version, "bo").await;
        assert_eq!(approved.status, 200);
    }
    service
}

async fn redeem(service: &Service, key: &str, body: &Value) -> Answer {
    service.post(REDEMPTIONS, key, body).await
}

#[tokio::test]
async fn a_redemption_costs_quantity_times_rate_and_is_told_with_everything_it_was_for() {
    let service = service().await;
    let answer = redeem(&service, "r1", &redemption()).await;
    assert_eq!(answer.status, 201, "{answer:?}");
    assert_eq!(answer.body["amount"], 3.75);
    assert_eq!(answer.body["credits_per_unit"], 1.5);
    assert_eq!(answer.body["balance_after"], 96.25);

    let events = history(&service, "cloud_account#ada").await;
    let event = &events[1];
    assert_eq!(event.event_type.as_str(), "cloud.redeemed");
    assert_eq!(event.event_id.to_string(), answer.body["event_id"]);
    assert_eq!(event.priority.as_str(), "high");
    assert_eq!(
        payload(event),
        json!({
            "transaction_id": answer.body["transaction_id"], "member_id": "ada", "member_name": "Name of ada",
            "amount": 3.75, "amount_usd": 37.5, "balance_after": 96.25, "primitive": "compute", "quantity": 2.5,
            "unit": "compute-hour", "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": 1,
            "credits_per_unit": 1.5, "version": 2
        })
    );
    let line = &statement(&service, "ada").await[0];
    assert_eq!(
        (&line["kind"], &line["amount"]),
        (&json!("redeemed"), &json!(3.75))
    );
    assert_eq!(line["usage"]["primitive"], "compute");

    // The same key again returns the first answer and redeems nothing more.
    let again = redeem(&service, "r1", &redemption()).await;
    assert_eq!(again.body, answer.body);
    assert_eq!(balance(&service, "ada").await, 96.25);

    // Without an amount, nothing is compared.
    let mut body = redemption();
    body.as_object_mut().unwrap().remove("amount");
    let unstated = redeem(&service, "r2", &body).await;
    assert_eq!(unstated.body["balance_after"], 92.5);
}

#[tokio::test]
async fn every_refusal_is_a_problem_of_its_own_and_nothing_is_written() {
    let service = service().await;
    let before = service.outbox().clock().now();
    let cases = [
        (with("rate_card_version", 3), 409, "rate-card-not-approved"),
        (with("rate_card_version", 2), 409, "rate-card-not-effective"),
        (with("rate_card_version", 4), 404, "unknown-rate-card"),
        (with("primitive", "gpu"), 422, "unknown-primitive"),
        (with("unit", "hours"), 422, "unknown-unit"),
        (with("unit", "GB"), 422, "wrong-unit"),
        (with("amount", 3.76), 422, "amount-differs"),
        (with("member_id", "eve"), 404, "not-found"),
    ];
    for (number, (body, status, problem)) in cases.iter().enumerate() {
        let answer = redeem(&service, &format!("no-{number}"), body).await;
        assert_eq!(answer.status, *status, "{problem}: {answer:?}");
        assert_eq!(
            refused(&service, &answer, "cloud_account#ada", 1).await,
            *problem
        );
    }
    let differs = redeem(&service, "no-a", &with("amount", 3.76)).await;
    assert_eq!(
        (&differs.body["stated"], &differs.body["computed"]),
        (&json!(3.76), &json!(3.75))
    );
    assert_eq!(differs.pointers(), ["/amount"]);
    let early = redeem(&service, "no-b", &with("rate_card_version", 2)).await;
    assert_eq!(early.body["effective_date"], "2999-01-01T00:00:00.000Z");

    let mut tiny = with("quantity", 0.4);
    tiny["primitive"] = "stm".into();
    tiny["unit"] = "GB-hour".into();
    tiny["amount"] = Value::Null;
    let nothing = redeem(&service, "no-c", &tiny).await;
    assert_eq!(nothing.problem(), "redemption-rounds-to-zero");
    let mut dear = with("quantity", 70);
    dear["amount"] = Value::Null;
    let short = redeem(&service, "no-d", &dear).await;
    assert_eq!(
        (short.status.as_u16(), short.problem()),
        (409, "insufficient-balance")
    );
    assert_eq!(
        (&short.body["available"], &short.body["needed"]),
        (&json!(100), &json!(105))
    );
    for (field, value) in [
        ("quantity", json!(0)),
        ("quantity", json!(1.000_000_1)),
        ("amount", json!(-1)),
    ] {
        let answer = redeem(&service, "no-e", &with(field, value)).await;
        assert_eq!(
            (answer.problem(), answer.pointers()),
            ("invalid-request", vec![format!("/{field}").as_str()])
        );
    }
    assert_eq!(history(&service, "cloud_account#ada").await.len(), 1);
    assert_eq!(balance(&service, "ada").await, 100);
    assert!(service.outbox().clock().now() >= before);
}
