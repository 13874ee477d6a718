//! Payments and settlements through the deployed stack: the stored states, the events, and that the events rebuild the
//! states.

use super::*;

pub(super) async fn step(stack: &Stack, path: &str, step: &str, body: &Value) -> Result<Value> {
    post(stack, &format!("{path}/{step}"), body)
        .await?
        .expect(StatusCode::OK)
}

pub(super) async fn captured_payment(stack: &Stack) -> Result<String> {
    let body = json!({ "amount": "100.10", "currency": "EUR" });
    let made = post(stack, "/api/v1/payments", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let id = made["payment_id"].as_str().ok_or("no payment_id")?;
    let path = format!("/api/v1/payments/{id}");
    for name in ["authorize", "capture"] {
        step(stack, &path, name, &json!({})).await?;
    }
    Ok(id.to_owned())
}

/// A settlement of a payment that needs this many confirmations.
pub(super) async fn settlement(stack: &Stack, payment: &str, required: u32) -> Result<String> {
    let network = |name: &str, cost: &str| {
        json!({
            "network": name, "cost_usd": cost, "seconds": 60, "reliability": 0.99, "gas_estimate": "0.000021",
            "required_confirmations": required
        })
    };
    let networks = [network("base", "0.02"), network("polygon", "0.01")];
    let body = json!({ "payment_id": payment, "amount": "100.10", "networks": networks });
    let made = post(stack, "/api/v1/settlements", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(made["network"], "polygon");
    Ok(made["settlement_id"]
        .as_str()
        .ok_or("no settlement_id")?
        .to_owned())
}

/// Whether the list for a status contains a settlement.
async fn stands_in(stack: &Stack, status: &str, id: &str) -> Result<bool> {
    let mut cursor = String::new();
    loop {
        let path = format!("/api/v1/settlements?status={status}&limit=100{cursor}");
        let page = stack.get(&path).await?;
        let items = page["items"].as_array().ok_or("no items")?;
        if items.iter().any(|item| item["settlement_id"] == id) {
            return Ok(true);
        }
        let Some(next) = page["next_cursor"].as_str() else {
            return Ok(false);
        };
        cursor = format!("&cursor={next}");
    }
}

#[tokio::test]
async fn a_settlement_is_rebuilt_from_its_events_at_every_step() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let payment = captured_payment(&stack).await?;
    let id = settlement(&stack, &payment, 3).await?;
    let path = format!("/api/v1/settlements/{id}");
    let steps = [
        ("submit", json!({ "tx_hash": "0xabc" }), "submitted"),
        ("confirmations", json!({ "confirmations": 1 }), "confirming"),
        ("confirmations", json!({ "confirmations": 3 }), "confirmed"),
        ("settle", json!({ "gas_actual": "0.000019" }), "settled"),
    ];
    until("it is listed as chosen", SOON, || async {
        Ok(stands_in(&stack, "network_selected", &id)
            .await?
            .then_some(()))
    })
    .await?;
    for (name, body, status) in steps {
        let done = step(&stack, &path, name, &body).await?;
        assert_eq!(done["status"], status, "{done}");
        let witness = stack.get(&format!("{path}/witness")).await?;
        assert_eq!(witness["agrees"], true, "{witness}");
        assert_eq!(witness["stored"]["status"], status);
    }
    until("it is no longer in progress", SOON, || async {
        let confirmed = stands_in(&stack, "confirmed", &id).await?;
        Ok((!confirmed).then_some(()))
    })
    .await?;

    let events = history(&stack, "settlement", &id).await?;
    let transitions: Vec<&Value> = events
        .iter()
        .map(|event| &event["payload"]["transition"])
        .filter(|transition| !transition.is_null())
        .collect();
    assert_eq!(transitions, [1, 2, 3, 4, 5, 6]);
    assert_eq!(
        events.last().map(|event| &event["event_type"]),
        Some(&json!("settlement.settled"))
    );
    let payment = stack.get(&format!("/api/v1/payments/{payment}")).await?;
    assert_eq!(payment["status"], "captured");
    Ok(())
}

#[tokio::test]
async fn what_a_status_does_not_allow_is_refused_by_the_deployed_function() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let payment = captured_payment(&stack).await?;
    let id = settlement(&stack, &payment, 3).await?;
    let body = json!({ "gas_actual": "1" });
    let refused = post(&stack, &format!("/api/v1/settlements/{id}/settle"), &body).await?;
    let refused = refused.expect(StatusCode::CONFLICT)?;
    assert_eq!(refused["from"], "network_selected");
    assert_eq!(refused["allowed"], json!(["submitted", "failed"]));
    let refunds = format!("/api/v1/payments/{payment}/refunds");
    let refund = |amount: &str| json!({ "amount": amount });
    // The settlement has all of it until it fails.
    let taken = post(&stack, &refunds, &refund("100")).await?;
    let taken = taken.expect(StatusCode::CONFLICT)?;
    assert_eq!(
        (&taken["available"], &taken["requested"]),
        (&json!(0), &json!(100))
    );
    let path = format!("/api/v1/settlements/{id}");
    step(&stack, &path, "fail", &json!({ "error": "no gas" })).await?;
    let first = post(&stack, &refunds, &refund("100")).await?;
    assert_eq!(
        first.expect(StatusCode::CREATED)?["status"],
        "partially_refunded"
    );
    let more = post(&stack, &refunds, &refund("0.11")).await?;
    let more = more.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    assert_eq!(
        (&more["refundable"], &more["requested"]),
        (&json!(0.1), &json!(0.11))
    );
    Ok(())
}

#[tokio::test]
async fn of_settlements_of_one_payment_at_once_no_two_count_on_the_same_money() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let payment = captured_payment(&stack).await?;
    let network = json!({
        "network": "base", "cost_usd": "0.02", "seconds": 60, "reliability": 0.99, "gas_estimate": "0.000021",
        "required_confirmations": 3
    });
    let body = json!({ "payment_id": payment, "amount": "30", "networks": [network] });
    let asked = (0..6).map(|_| post(&stack, "/api/v1/settlements", &body));
    let mut made = 0;
    for answer in futures::future::try_join_all(asked).await? {
        match answer.status {
            StatusCode::CREATED => made += 1,
            // Requests that contend for the payment's row can be told to come again.
            StatusCode::SERVICE_UNAVAILABLE => {}
            _ => {
                let refused = answer.expect(StatusCode::UNPROCESSABLE_ENTITY)?;
                assert_eq!(refused["type"], "urn:millrace:problem:settlement-too-large");
            }
        }
    }
    assert!((1..=3).contains(&made), "{made}");
    let payment = stack.get(&format!("/api/v1/payments/{payment}")).await?;
    assert_eq!(payment["allocated"], 30 * made);
    Ok(())
}
