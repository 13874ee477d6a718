//! Commerce through the deployed stack: prices are set and published, and an order comes to what they say;
//! stock is counted and corrected.

use super::*;

/// Sends a PUT under a key of its own, and repeats it with the same key.
async fn put(stack: &Stack, path: &str, body: &Value) -> Result<Value> {
    let key = unique("key");
    let first = stack
        .call(Method::PUT, path, Some(&key), Some(body))
        .await?;
    let first = first.expect(StatusCode::OK)?;
    let again = stack
        .call(Method::PUT, path, Some(&key), Some(body))
        .await?;
    assert_eq!(again.expect(StatusCode::OK)?, first);
    Ok(first)
}

#[tokio::test]
async fn a_price_is_published_and_an_order_comes_to_the_seeds_total() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (sku, tier) = (unique("PRD"), unique("gold").to_lowercase());
    let prices = format!("/api/v1/prices/{sku}");
    let price = |base: &str| json!({ "product_id": "PRD", "currency": "EUR", "base_price": base });
    put(&stack, &prices, &price("140")).await?;
    let set = put(&stack, &prices, &price("150.00")).await?;
    assert_eq!(set["prices"]["EUR"]["base_price"], 150);
    put(
        &stack,
        &format!("/api/v1/tiers/{tier}"),
        &json!({ "discount_percent": 12.5 }),
    )
    .await?;
    // The seed's rate. ISO 3166-1 leaves the codes XA to XZ to their users, so no country has it.
    let rate = json!({ "rate": 19, "valid_from": "2017-01-01" });
    put(&stack, "/api/v1/tax-rates/XA/standard", &rate).await?;

    let mut order = json!({
        "currency": "EUR", "country": "XA", "lines": [{ "sku": sku, "quantity": 10 }],
    });
    let calculate = "/api/v1/pricing/calculate-order";
    let ask = async |order: &Value| stack.call(Method::POST, calculate, None, Some(order)).await;
    let totals = ask(&order).await?.expect(StatusCode::OK)?["totals"].clone();
    assert_eq!(
        (&totals["subtotal"], &totals["tax_amount"], &totals["total"]),
        (&json!(1500), &json!(285), &json!(1785)),
        "{totals}"
    );
    order["tier"] = tier.as_str().into();
    let tiered = ask(&order).await?.expect(StatusCode::OK)?;
    assert_eq!(tiered["lines"][0]["unit_price"], 131.25);
    order["country"] = "XB".into();
    let untaxed = ask(&order)
        .await?
        .expect(StatusCode::UNPROCESSABLE_ENTITY)?;
    assert_eq!(untaxed["type"], "urn:millrace:problem:no-tax-rate");

    // A repeat is no second change.
    let events = history(&stack, "price", &sku).await?;
    assert_eq!(events.len(), 2, "{events:?}");
    let listed = stack.get(&format!("{prices}/history?order=newest")).await?;
    let rise = &listed["items"][0];
    assert_eq!(
        (
            &rise["payload"]["previous_price"],
            &rise["payload"]["price_difference"]
        ),
        (&json!(140), &json!(10))
    );
    let event_id = rise["event_id"].as_str().ok_or("no event_id")?;
    handled_by_all(&stack, event_id, SOON).await?;
    for (kind, id) in [
        ("price", sku.as_str()),
        ("price_tier", tier.as_str()),
        ("price_tax_rate", "XA-standard"),
    ] {
        let path = format!("/api/v1/events/witness?aggregate_type={kind}&aggregate_id={id}");
        let witness = stack.get(&path).await?;
        assert_eq!(witness["verdict"], "agrees", "{witness}");
    }
    Ok(())
}

#[tokio::test]
async fn stock_is_corrected_once_however_often_and_at_the_same_time_it_is_asked_for() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = unique("PRD");
    let stock = format!("/api/v1/stock/{sku}");
    let body = json!({ "product_id": "PRD-1", "quantity": 10 });
    assert_eq!(put(&stack, &stock, &body).await?["available"], 10);
    put(
        &stack,
        &format!("{stock}/threshold"),
        &json!({ "threshold_low_stock": 5 }),
    )
    .await?;

    // Twelve pieces break at once, each told twice, but only ten are there.
    let (stack, path) = (&stack, &format!("{stock}/adjustments"));
    let body = &json!({ "delta": -1, "reason": "broken" });
    let broken = (0..12).map(|_| async move {
        let key = unique("key");
        let mut answers = Vec::new();
        for _ in 0..2 {
            let answer = until("an answer", SOON, || async {
                let answer = stack
                    .call(Method::POST, path, Some(&key), Some(body))
                    .await?;
                Ok((answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer.status))
            });
            answers.push(answer.await?);
        }
        Ok::<_, BoxError>(answers)
    });
    let answers = futures::future::try_join_all(broken).await?;
    let done = answers
        .iter()
        .filter(|answers| answers[..] == [StatusCode::OK; 2])
        .count();
    let refused = answers
        .iter()
        .filter(|answers| answers[..] == [StatusCode::CONFLICT; 2])
        .count();
    assert_eq!((done, refused), (10, 2), "{answers:?}");
    let left = stack.get(&stock).await?;
    assert_eq!(
        (&left["on_hand"], &left["stock_status"]),
        (&json!(0), &json!("out_of_stock"))
    );
    let events = history(stack, "stock", &sku).await?;
    assert_eq!(events.len(), 12, "{events:?}");
    let last = events[11]["event_id"].as_str().ok_or("no event_id")?;
    handled_by_all(stack, last, SOON).await?;
    let path = format!("/api/v1/events/witness?aggregate_type=stock&aggregate_id={sku}");
    let witness = stack.get(&path).await?;
    assert_eq!(witness["verdict"], "agrees", "{witness}");
    Ok(())
}
